// The object store of SeaweedFS alone, with S3's interface, for tests: `weed server -s3`.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/seaweedfs/seaweedfs/weed/command"
)

const module = "github.com/seaweedfs/seaweedfs"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		fmt.Println(version())
		return
	}
	if len(os.Args) < 2 || os.Args[1] != "server" {
		fmt.Fprintln(os.Stderr, "usage: weed server FLAGS | --version")
		os.Exit(2)
	}
	for _, one := range command.Commands {
		if one.Name() == "server" {
			one.Flag.Parse(os.Args[2:])
			one.IsDebug = new(bool)
			one.Run(one, one.Flag.Args())
		}
	}
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, one := range info.Deps {
		if one.Path == module {
			return one.Version
		}
	}
	return "unknown"
}
