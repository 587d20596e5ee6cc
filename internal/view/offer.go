package view

import "fmt"

// Offer is what the cloud sells of one instance type, in one zone where stock
// and price are known.
type Offer struct {
	InstanceType string `json:"instanceType"`
	Family       string `json:"family,omitempty"`
	VCPU         int    `json:"vCPU"`
	MemoryMiB    int64  `json:"memoryMiB"`
	GPUs         int    `json:"gpus,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Zone         string `json:"zone,omitempty"`
	Stock        string `json:"stock,omitempty"`
	// Word is what people read of stock and fit.
	Word string `json:"word,omitempty"`
	// Code is why it does not fit; empty where it does.
	Code  string `json:"code,omitempty"`
	Price *Price `json:"price,omitempty"`
}

// Image is an image that the cloud offers.
type Image struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	OS           string `json:"os,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	BootMode     string `json:"bootMode,omitempty"`
	Trusted      string `json:"trusted,omitempty"`
}

// text is an image on one line.
func (i *Image) text() string {
	if i == nil {
		return ""
	}
	return joinNonEmpty(", ", i.ID, i.OS, i.Architecture, i.BootMode, i.Trusted)
}

// OfferTable is offers as a table; zone, outlook and price are shown where they
// are known of any.
func OfferTable(list []Offer) Table {
	sold := len(list) > 0 && list[0].Zone != ""
	t := Table{Columns: []Column{{Name: "TYPE"}, {Name: "VCPU"}, {Name: "MEMORY"}, {Name: "GPU"}, {Name: "ARCHITECTURE"}}}
	if sold {
		t.Columns = append([]Column{{Name: "ZONE"}}, append(t.Columns, Column{Name: "OUTLOOK"}, Column{Name: "PRICE/H"}, Column{Name: "CODE", Wide: true})...)
	}
	for _, o := range list {
		gpus := ""
		if o.GPUs > 0 {
			gpus = fmt.Sprint(o.GPUs)
		}
		row := []Cell{text(o.InstanceType), text(fmt.Sprint(o.VCPU)), text(Memory(o.MemoryMiB)), text(gpus), text(o.Architecture)}
		if sold {
			price := ""
			if o.Price != nil {
				price = o.Price.Currency + " " + o.Price.PerHour
			}
			row = append([]Cell{text(o.Zone)}, append(row, Cell{Text: o.Word, Tone: stockTone(o)}, text(price), text(o.Code))...)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func stockTone(o Offer) Tone {
	switch {
	case o.Code != "":
		return ToneBad
	case o.Stock == "WithStock":
		return ToneOK
	case o.Stock == "ClosedWithStock":
		return ToneWarn
	case o.Stock == "Unknown", o.Stock == "":
		return ToneOff
	}
	return ToneBad
}

// ImageTable is images as a table.
func ImageTable(list []Image) Table {
	t := Table{Columns: []Column{{Name: "IMAGE"}, {Name: "OS"}, {Name: "ARCHITECTURE"}, {Name: "BOOT"}, {Name: "TRUSTED"}, {Name: "NAME", Wide: true}}}
	for _, i := range list {
		t.Rows = append(t.Rows, []Cell{text(i.ID), text(i.OS), text(i.Architecture), text(i.BootMode), text(i.Trusted), text(i.Name)})
	}
	return t
}

// Memory writes a size in MiB as people read it: "16 GiB", "512 MiB".
func Memory(mib int64) string {
	switch {
	case mib <= 0:
		return ""
	case mib%1024 == 0:
		return fmt.Sprintf("%d GiB", mib/1024)
	case mib > 1024:
		return fmt.Sprintf("%.1f GiB", float64(mib)/1024)
	}
	return fmt.Sprintf("%d MiB", mib)
}
