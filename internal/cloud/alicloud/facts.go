package alicloud

import (
	"context"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/cloud"
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// facts are answers that change seldom, kept for a while. Stock is never kept.
type facts struct {
	types  map[string]kept[cloud.InstanceType]
	prices map[priceKey]kept[cloud.Price]
}

type kept[T any] struct {
	value T
	until time.Time
}

// priceKey names a price; zone is set for spot only.
type priceKey struct {
	instanceType, zone string
	charge             cloud.ChargeType
}

func newFacts() facts {
	return facts{types: map[string]kept[cloud.InstanceType]{}, prices: map[priceKey]kept[cloud.Price]{}}
}

// InstanceTypes looks types up; without names it reads every page.
func (p *Provider) InstanceTypes(ctx context.Context, names ...string) ([]cloud.InstanceType, error) {
	if len(names) == 0 {
		return p.readTypes(ctx, params{})
	}
	known, missing := p.keptTypes(names)
	for _, some := range batches(missing, 10) {
		read, err := p.readTypes(ctx, params{}.list("InstanceTypes", some))
		if err != nil && fault.CodeOf(err) != fault.TypeValueNotSupported {
			return nil, err
		}
		known = append(known, read...)
	}
	byName := map[string]cloud.InstanceType{}
	for _, t := range known {
		byName[t.Name] = t
	}
	var out []cloud.InstanceType
	for _, n := range names {
		if t, ok := byName[n]; ok {
			out = append(out, t)
			delete(byName, n)
		}
	}
	return out, nil
}

func (p *Provider) keptTypes(names []string) (known []cloud.InstanceType, missing []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.opts.Now()
	for _, n := range names {
		if k, ok := p.facts.types[n]; ok && now.Before(k.until) {
			known = append(known, k.value)
		} else {
			missing = append(missing, n)
		}
	}
	return known, missing
}

func (p *Provider) readTypes(ctx context.Context, in params) ([]cloud.InstanceType, error) {
	var all []cloud.InstanceType
	for pages := 0; pages < 200; pages++ {
		var page struct {
			NextToken     string
			InstanceTypes struct {
				InstanceType []struct {
					InstanceTypeID     string `json:"InstanceTypeId"`
					InstanceTypeFamily string
					CPUCoreCount       int `json:"CpuCoreCount"`
					MemorySize         float64
					GPUAmount          int
					CPUArchitecture    string `json:"CpuArchitecture"`
					SupportedBootModes struct{ SupportedBootMode []string }
				}
			}
		}
		if err := p.read(ctx, "InstanceTypes", "ecs", "DescribeInstanceTypes", in, &page); err != nil {
			return nil, err
		}
		for _, t := range page.InstanceTypes.InstanceType {
			all = append(all, cloud.InstanceType{
				Name: t.InstanceTypeID, Family: t.InstanceTypeFamily, VCPU: t.CPUCoreCount,
				MemoryMiB: int64(t.MemorySize * 1024), GPUs: t.GPUAmount, Architecture: architecture(t.CPUArchitecture),
				BootModes: t.SupportedBootModes.SupportedBootMode,
			})
		}
		if page.NextToken == "" {
			break
		}
		in["NextToken"] = page.NextToken
	}
	p.keepTypes(all)
	return all, nil
}

func (p *Provider) keepTypes(all []cloud.InstanceType) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range all {
		p.facts.types[t.Name] = kept[cloud.InstanceType]{t, p.opts.Now().Add(p.opts.FactsLife)}
	}
}

// architecture gives one spelling to those of types (X86, ARM) and images.
func architecture(s string) string {
	switch s := strings.ToLower(s); s {
	case "x86":
		return "x86_64"
	case "arm":
		return "arm64"
	default:
		return s
	}
}
