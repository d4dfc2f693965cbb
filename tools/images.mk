# The images of a release, `make images`, and what their tests need. The Makefile includes it.

# Architectures as images name them.
IMAGE_x86_64 := amd64
IMAGE_aarch64 := arm64

.PHONY: images images-tools
dist: images
# After `dist-commands`, which empties the folder.
images: dist-commands $(BIN)/images ## build the images of the filter and the command, without a container engine: OCI layouts in target/dist
	$(BIN)/images -version $(VERSION) -revision $(DIST_COMMIT) -created $(DIST_DATE) -module $(DIST_MODULE) -output $(DIST) \
		$(foreach arch,$(ARCHES),$(IMAGE_$(arch))=$(call DIST_COMMAND,$(arch)))

images-tools: $(addprefix $(BIN)/,crane registry istio-fetch envoy pushgateway) $(TOOLS)/debian/.installed

$(BIN)/images: $(wildcard tools/crane/images/*.go) tools/crane/go.mod tools/crane/go.sum
	cd tools/crane && go build -mod=readonly -o $(abspath $@) ./images

# The program links Istio's code that a proxy's agent fetches modules with.
$(BIN)/istio-fetch: tools/istio/fetch/main.go tools/istio/go.mod tools/istio/go.sum
	@echo "Building istio-fetch (one to three minutes of CPU time)"
	@mkdir -p $(BIN)
	cd tools/istio && go build -mod=readonly -ldflags "-s -w" -o $(abspath $@) ./fetch

# The suite runs containers as another user, which needs root.
.PHONY: e2e-images
e2e-dist: e2e-images
e2e-images: dist images-tools ## push the images to a registry, fetch them as Istio does, run them by runc
	cargo test -p pushring-harness --test images $(AS_ROOT)
