// Command ship writes what is shipped beside the source: the list of parts of
// the programs, and a container image of one of them that is built from nothing.
// In come programs as they were built, out come files that are the same, byte
// for byte, for the same programs. It reads no network and no clock.
//
//	ship sbom  FILE PROGRAM...             CycloneDX, from what Go wrote into each program
//	ship image FILE VERSION PROGRAM SBOM   a tarball for docker load, podman load, skopeo
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ship:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) > 2 && args[0] == "sbom":
		return writeSBOM(args[1], args[2:])
	case len(args) == 5 && args[0] == "image":
		return writeImage(args[1], args[2], args[3], args[4])
	}
	return errors.New("usage: ship sbom FILE PROGRAM... | ship image FILE VERSION PROGRAM SBOM")
}
