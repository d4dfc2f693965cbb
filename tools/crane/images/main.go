// Writes the images of a release as OCI layouts in tar archives, without a container engine. The same inputs give the same
// bytes: no clock, no order of a file system, and the compression of the pinned Go.
//
//	images -version 0.2.0 -revision COMMIT -created SECONDS -module plugin.wasm -output FOLDER amd64=COMMAND arm64=COMMAND
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	source   = "https://github.com/pushring/pushring"
	registry = "ghcr.io/pushring/"
	// The user of images without a root user, as in the images of distroless.
	user = "65532"
)

var (
	version  = flag.String("version", "", "version of the release")
	revision = flag.String("revision", "", "commit of the build")
	created  = flag.Int64("created", 0, "time of all files, in seconds since 1970")
	module   = flag.String("module", "", "the filter, a Wasm module")
	output   = flag.String("output", ".", "folder for the archives")
)

// A file of an image.
type file struct {
	name string
	mode int64
	data []byte
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	wasm := read(*module)
	filter := map[string][]file{}
	command := map[string][]file{}
	for _, argument := range flag.Args() {
		arch, path, found := strings.Cut(argument, "=")
		if !found {
			log.Fatalf("%s: expected ARCHITECTURE=PATH", argument)
		}
		// Istio reads this name from the last layer.
		filter[arch] = []file{{"plugin.wasm", 0o644, wasm}}
		command[arch] = []file{
			{"bin/pushring", 0o755, read(path)},
			{"etc/group", 0o644, []byte("root:x:0:\npushring:x:" + user + ":\n")},
			{"etc/passwd", 0o644, []byte("root:x:0:0::/:/\npushring:x:" + user + ":" + user + "::/:/\n")},
			{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
			{"lib/pushring/pushring_filter.wasm", 0o644, wasm},
		}
	}
	write("pushring-filter", "Envoy filter that routes Pushgateway pushes by a hash ring", filter, v1.Config{})
	write("pushring", "Members, checks and cleanup of a fleet of Pushgateways behind Envoy", command, v1.Config{
		Entrypoint: []string{"/bin/pushring"},
		User:       user + ":" + user,
		WorkingDir: "/",
	})
}

// Writes the archive of an image with one manifest for each architecture. The filter is the same for all of them, but
// containerd unpacks an image for its own architecture only.
func write(name, description string, files map[string][]file, config v1.Config) {
	labels := map[string]string{
		"org.opencontainers.image.title":       name,
		"org.opencontainers.image.description": description,
		"org.opencontainers.image.version":     *version,
		"org.opencontainers.image.revision":    *revision,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.source":      source,
		"org.opencontainers.image.created":     time.Unix(*created, 0).UTC().Format(time.RFC3339),
	}
	config.Labels = labels
	index := mutate.Annotations(empty.Index, labels).(v1.ImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		if files[arch] == nil {
			continue
		}
		platform := v1.Platform{OS: "linux", Architecture: arch}
		image := image(files[arch], platform, config)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        mutate.Annotations(image, labels).(v1.Image),
			Descriptor: v1.Descriptor{Platform: &platform},
		})
	}

	folder := must(os.MkdirTemp("", "images"))
	defer os.RemoveAll(folder)
	path := must(layout.Write(folder, empty.Index))
	// The names by which containerd and others import the archive.
	check(path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          registry + name + ":" + *version,
		"org.opencontainers.image.ref.name": *version,
	})))
	var archive []file
	check(filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			archive = append(archive, file{must(filepath.Rel(folder, path)), 0o644, read(path)})
		}
		return err
	}))
	check(os.WriteFile(filepath.Join(*output, name+"-"+*version+".image.tar"), pack(archive), 0o644))
	fmt.Println(name, must(index.Digest()))
}

func image(files []file, platform v1.Platform, config v1.Config) v1.Image {
	layer := pack(files)
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil }
	added := must(mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:   must(tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(9))),
		History: v1.History{Created: v1.Time{Time: time.Unix(*created, 0).UTC()}, CreatedBy: "make images"},
	}))
	full := must(added.ConfigFile()).DeepCopy()
	full.OS, full.Architecture = platform.OS, platform.Architecture
	full.Created = v1.Time{Time: time.Unix(*created, 0).UTC()}
	full.Config = config
	return mutate.ConfigMediaType(must(mutate.ConfigFile(added, full)), types.OCIConfigJSON)
}

// Returns the files, in the order given, as a tar archive with their folders.
func pack(files []file) []byte {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	folders := map[string]bool{".": true}
	var folder func(string)
	folder = func(name string) {
		if !folders[name] {
			folder(filepath.Dir(name))
			folders[name] = true
			check(archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(*created, 0)}))
		}
	}
	for _, file := range files {
		folder(filepath.Dir(file.name))
		check(archive.WriteHeader(&tar.Header{
			Name: file.name, Mode: file.mode, Size: int64(len(file.data)), ModTime: time.Unix(*created, 0),
		}))
		must(archive.Write(file.data))
	}
	check(archive.Close())
	return buffer.Bytes()
}

func read(path string) []byte { return must(os.ReadFile(path)) }

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal("images: ", err)
	}
}
