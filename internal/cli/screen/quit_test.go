package screen

import (
	"strings"
	"testing"
	"testing/synctest"
)

func TestQuitHearsOneKeyOnly(t *testing.T) {
	for typed, want := range map[string]bool{"": false, "abc\n": false, "abq": true, "Q": true} {
		synctest.Test(t, func(t *testing.T) {
			quit, end := Quit(strings.NewReader(typed))
			defer end()
			synctest.Wait()
			select {
			case <-quit:
				if !want {
					t.Errorf("%q: left", typed)
				}
			default:
				if want {
					t.Errorf("%q: not left", typed)
				}
			}
		})
	}
}
