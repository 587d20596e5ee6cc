package screen

import (
	"bufio"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Quit listens for the key q. The channel is closed when it is typed; end puts a
// terminal back as it was. A terminal that another job has in front is left
// alone, and nothing is heard from it.
func Quit(in io.Reader) (quit <-chan struct{}, end func()) {
	heard, end := make(chan struct{}), func() {}
	if f, ok := in.(*os.File); ok {
		was, err := keys(int(f.Fd()))
		if err != nil {
			return heard, end
		}
		end = func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, was) }
	}
	go func() {
		r := bufio.NewReader(in)
		for {
			switch b, err := r.ReadByte(); {
			case err != nil:
				return
			case b == 'q' || b == 'Q':
				close(heard)
				return
			}
		}
	}()
	return heard, end
}

// keys makes a terminal hand over each key at once, unechoed, and returns how it
// was. Ctrl-C and the like work as before.
func keys(fd int) (*unix.Termios, error) {
	if front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || front != unix.Getpgrp() {
		return nil, unix.ENOTTY
	}
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	now := *was
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	return was, unix.IoctlSetTermios(fd, unix.TCSETS, &now)
}
