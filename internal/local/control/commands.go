package control

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/poolkeeper/internal/cli"
	"github.com/poolkeeper/poolkeeper/internal/local/ecs/region"
)

// commands makes commands for one local region.
type commands struct {
	dir func() string
}

// Commands returns the commands that change the local cloud. dirFlag gives
// the directory of the local region when a command runs.
func Commands(dirFlag func() string) []*cobra.Command {
	c := &commands{dir: dirFlag}
	return []*cobra.Command{
		cli.Noun("stock", "Set what zones have left of instance types and disk categories", c.stockSet()),
		cli.Noun("quota", "Set quotas of the account", c.quotaSet()),
		cli.Noun("balance", "Set the account's money", c.balanceSet()),
		c.onOff("type", "Authorize the account for an instance type, or take that back", "TYPE", "ecs.r8a.4xlarge", "type", c.types()),
		cli.Noun("kms", "Switch keys, or the key management service", c.kms("on", true), c.kms("off", false)),
		c.onOff("role", "Grant or revoke a RAM role", "ROLE", "AliyunOOSLifecycleHook4CSRole", "role", roles),
		c.onOff("permission", "Grant or revoke the access key's permission for an action", "ACTION", "RunInstances", "permission", permissions),
		cli.Noun("security-group", "Allow or refuse outbound traffic", c.rule("allow", true), c.rule("deny", false)),
		cli.Noun("vswitch", "Set the free addresses of vSwitches", c.vSwitchSet()),
		cli.Noun("account", "Use the access key of another account, which has nothing in the region", c.accountList()),
		c.instances(),
		c.faults(),
		c.scenarios(),
	}
}

// verb is a command that sends what body makes of its arguments and says what
// was changed.
func (c *commands) verb(use, short, example, path string, args cobra.PositionalArgs, body func([]string) (any, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Example: "  poolkeeper local " + example, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := body(args)
			if err != nil {
				return &cli.Error{Code: cli.ExitInput, What: "nothing was changed", Cause: err.Error(), Next: []string{"`" + cmd.CommandPath() + " --help`"}}
			}
			return c.send(cmd, http.MethodPost, path, change)
		}}
}

func (c *commands) send(cmd *cobra.Command, method, path string, change any) error {
	cloud, err := open(c.dir())
	if err != nil {
		return err
	}
	text, err := cloud.change(cmd.Context(), method, path, change)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// count reads a number of what is left: 0 and more, or plenty.
func count(text, unbounded string) (int, error) {
	if text == unbounded {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is neither a number from 0 nor %q", text, unbounded)
	}
	return n, nil
}

func (c *commands) stockSet() *cobra.Command {
	var change region.StockChange
	cmd := c.verb("set ZONE|all TYPE|DISK-CATEGORY COUNT|plenty|not-offered", "Set what a zone has left",
		"stock set cn-local-a ecs.g7.xlarge 2\n  poolkeeper local stock set all cloud_essd 0", "stock", cobra.ExactArgs(3),
		func(args []string) (any, error) {
			change.Zone = args[0]
			if strings.HasPrefix(args[1], "ecs.") {
				change.Type = args[1]
			} else {
				change.Disk = args[1]
			}
			if args[2] == "not-offered" {
				change.NotOffered = true
				return change, nil
			}
			var err error
			change.Count, err = count(args[2], "plenty")
			return change, err
		})
	cmd.Flags().BoolVar(&change.Closed, "closed", false, "it will not be replenished")
	cmd.Flags().BoolVar(&change.Spot, "spot", false, "the stock for spot instances")
	return complete(cmd, false, either(fixed("all"), c.zones()), either(c.types(), c.diskCategories()), fixed("plenty", "not-offered", "0"))
}

func (c *commands) quotaSet() *cobra.Command {
	cmd := c.verb("set TYPE|ZONE|instances|disks|disk-gib COUNT|none", "Set a quota: instances of a type, vCPUs of a zone, or of the account",
		"quota set ecs.g7.xlarge 10\n  poolkeeper local quota set cn-local-a 64", "quota", cobra.ExactArgs(2),
		func(args []string) (any, error) {
			n, err := count(args[1], "none")
			change := region.QuotaChange{Count: n}
			switch {
			case strings.HasPrefix(args[0], "ecs."):
				change.Type = args[0]
			case args[0] == "instances" || args[0] == "disks" || args[0] == "disk-gib":
				change.Account = args[0]
			default:
				change.Zone = args[0]
			}
			return change, err
		})
	return complete(cmd, false, either(fixed("instances", "disks", "disk-gib"), c.zones(), c.types()), fixed("none"))
}

func (c *commands) balanceSet() *cobra.Command {
	var change region.BalanceChange
	cmd := c.verb("set [AMOUNT]", "Set the balance; an amount alone ends arrears and a used-up credit",
		"balance set 20\n  poolkeeper local balance set --arrears\n  poolkeeper local balance set 100000", "balance", cobra.MaximumNArgs(1),
		func(args []string) (any, error) {
			if len(args) == 1 {
				v, err := strconv.ParseFloat(args[0], 64)
				if err != nil {
					return nil, fmt.Errorf("%q is not an amount", args[0])
				}
				change.Amount = &v
			}
			return change, nil
		})
	cmd.Flags().BoolVar(&change.CreditUsedUp, "credit-used-up", false, "the credit is used up")
	cmd.Flags().BoolVar(&change.Arrears, "arrears", false, "the account is in arrears")
	return cmd
}

// onOff is a noun that is granted and revoked.
func (c *commands) onOff(noun, short, arg, example, path string, names words) *cobra.Command {
	one := func(verb string, on bool) *cobra.Command {
		cmd := c.verb(verb+" "+arg, strings.ToUpper(verb[:1])+verb[1:]+" it", noun+" "+verb+" "+example, path, cobra.ExactArgs(1),
			func(args []string) (any, error) { return region.Switch{Name: args[0], On: on}, nil })
		return complete(cmd, false, names)
	}
	return cli.Noun(noun, short, one("grant", true), one("revoke", false))
}

func (c *commands) kms(verb string, on bool) *cobra.Command {
	const service = "service"
	cmd := c.verb(verb+" KEY|"+service, "Switch a key "+verb+", or the whole service",
		"kms "+verb+" key-local\n  poolkeeper local kms "+verb+" "+service, "kms", cobra.ExactArgs(1),
		func(args []string) (any, error) {
			s := region.Switch{On: on}
			if args[0] != service {
				s.Name = args[0]
			}
			return s, nil
		})
	return complete(cmd, false, either(fixed(service), c.keys()))
}

func (c *commands) rule(verb string, allow bool) *cobra.Command {
	change := region.RuleChange{Allow: allow}
	cmd := c.verb(verb+" GROUP", "Change outbound TCP traffic: "+verb+" it", "security-group "+verb+" sg-local --to 127.0.0.1 --port 7443",
		"security-group", cobra.ExactArgs(1), func(args []string) (any, error) { change.Group = args[0]; return change, nil })
	cmd.Flags().StringVar(&change.To, "to", "0.0.0.0/0", "`address` or block of addresses")
	cmd.Flags().IntVar(&change.Port, "port", 0, "`port`; every port without it")
	return complete(cmd, false, c.securityGroups())
}

func (c *commands) vSwitchSet() *cobra.Command {
	var free int
	cmd := c.verb("set VSWITCH", "Set how many addresses are free", "vswitch set vsw-a --free 3", "vswitch", cobra.ExactArgs(1),
		func(args []string) (any, error) { return region.VSwitchChange{ID: args[0], Free: free}, nil })
	cmd.Flags().IntVar(&free, "free", 0, "`addresses` that are free")
	_ = cmd.MarkFlagRequired("free")
	return complete(cmd, false, c.vSwitches())
}
