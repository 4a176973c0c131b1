# xnord: build, test, benchmark and install. `make help` lists the targets.
#   B=DIR             build directory (default build, build-SAN, build-ARCH)
#   CC=clang          any C11 compiler
#   SAN=address,undefined | SAN=thread
#   ARCH=aarch64      cross build with aarch64-linux-gnu-gcc (libraries: `make deps`)

.DEFAULT_GOAL := all

ARCH ?= $(shell uname -m)
HOST := $(shell uname -m)
SAN ?=
comma := ,
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter-out $(HOST),$(ARCH)),-$(ARCH))
PREFIX ?= /usr/local
DESTDIR ?=
# Commands are shown short; V=1 shows them whole.
Q := $(if $(V),,@)
say = $(if $(V),:,echo "  $(1) $(patsubst $(B)/%,%,$@)")
VERSION := $(shell sed -n 's/^\#define XNOR_VERSION "\(.*\)"/\1/p' lib/include/xnor.h)

ifneq ($(ARCH),$(HOST))
CC := $(ARCH)-linux-gnu-gcc
AR := $(ARCH)-linux-gnu-ar
PKG_CONFIG := PKG_CONFIG_LIBDIR=/usr/lib/$(ARCH)-linux-gnu/pkgconfig:/usr/share/pkgconfig pkg-config
else
PKG_CONFIG := pkg-config
endif

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Werror
OPT ?= -O2
CFLAGS ?=
base_cflags := -std=c11 -D_GNU_SOURCE $(OPT) -g -fPIC -fvisibility=hidden -ffp-contract=off -pthread \
    $(WARN) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all) $(CFLAGS)
base_ldflags := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# ---- packages ------------------------------------------------------------------------------------

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
APT := DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends install
deps_build := gcc make pkg-config libc6-dev libuv1-dev libnng-dev libmsgpack-dev libyaml-dev \
    libcriterion-dev libprotobuf-c-dev protobuf-c-compiler libonnx-dev liblzf-dev \
    libspng-dev libturbojpeg0-dev
deps_test := clang libclang-rt-14-dev llvm clang-format clang-tidy cppcheck shellcheck python3 systemd \
    qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross libonnx-testdata
deps_arm64 := $(addsuffix :arm64,libc6 libuv1-dev libnng-dev libmsgpack-dev libyaml-dev \
    libprotobuf-c-dev liblzf-dev libspng-dev libturbojpeg0-dev)
deps_train := python3-torch python3-onnx python3-numpy python3-pil libopenblas0-pthread libjemalloc2

## make deps         installs what building, the demo and the tests need (Debian 12; sudo when not root)
## make deps-train   PyTorch for train/         make deps-bench   onnxruntime for the benchmarks
.PHONY: deps deps-train deps-bench
deps:
	$(SUDO) dpkg --add-architecture arm64
	$(SUDO) apt-get update -qq
	$(SUDO) $(APT) $(deps_build) $(deps_test) $(deps_arm64)
deps-train:
	$(SUDO) apt-get update -qq
	$(SUDO) $(APT) $(deps_train)
deps-bench: deps-train
	command -v npm >/dev/null || $(SUDO) $(APT) nodejs npm
	@mkdir -p $(B)/bench
	cd $(B)/bench && ONNXRUNTIME_NODE_INSTALL=skip npm install --no-audit --no-fund --prefix . onnxruntime-node

# `make deps check`: the packages first, then the rest in a make of its own, which sees them.
deps_goals := $(filter deps%,$(MAKECMDGOALS))
ifneq ($(deps_goals),)
other_goals := $(filter-out deps%,$(MAKECMDGOALS))
.PHONY: $(other_goals)
$(other_goals): $(deps_goals)
	$(MAKE) $@
else

# ---- sources: a folder is a library or a program -------------------------------------------------

lib_src := $(filter-out lib/onnx/%,$(wildcard lib/*/*.c))
onnx_src := $(wildcard lib/onnx/*.c)
proto_src := $(wildcard proto/*.c)
xnord_src := $(wildcard daemon/*.c)
libxnord_src := $(filter-out %/example.c,$(wildcard clients/libxnord/*.c))
xnorctl_src := $(wildcard clients/xnorctl/*.c)
unit_src := $(wildcard tests/unit/*.c)
kernels_check_src := $(wildcard tests/kernels/*.c)
e2e_src := $(wildcard tests/e2e/*.c)
fuzz_src := $(wildcard tests/fuzz/fuzz_*.c)
bench_src := $(wildcard bench/*.c)

objects = $(patsubst %.c,$(B)/%.o,$(1))

lib_inc := -Ilib -Ilib/include
proto_inc := -I. -Iproto
client_inc := $(lib_inc) $(proto_inc) -Iclients/libxnord/include

# Instruction sets, one file each; the rest of the library is baseline code.
x86_avx2 := -mavx2 -mfma -mpopcnt -mbmi2
x86_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vpopcntdq -mavx512bitalg \
    -mavx512vbmi -mavx512vnni -mfma -mbmi2
ifeq ($(ARCH),x86_64)
$(B)/lib/kernels/avx2.o: isa_cflags := $(x86_avx2)
$(B)/lib/kernels/avx512.o: isa_cflags := $(x86_avx512)
endif
ifeq ($(ARCH),aarch64)
$(B)/lib/kernels/neon_dotprod.o: isa_cflags := -march=armv8.2-a+dotprod
endif

$(B)/lib/%.o: folder_cflags := $(lib_inc)
# No floating-point flag is ever read, so both sides of a choice may be computed: loops become vectors.
$(B)/lib/exec/%.o $(B)/lib/task/%.o: folder_cflags := $(lib_inc) -fno-trapping-math $(if $(SAN),,-O3)
# gcc 12 at -O3 rearranges the kernels' tiles: 75 % of the machine's limit instead of 104 %.
$(B)/lib/kernels/%.o: folder_cflags := $(lib_inc) $(if $(SAN),,-O2)
$(B)/lib/onnx/%.o: folder_cflags := $(lib_inc) -I$(B)/gen
$(B)/proto/%.o: folder_cflags := $(proto_inc)
$(B)/daemon/%.o $(B)/clients/%.o $(B)/bench/%.o: folder_cflags := $(client_inc)
$(B)/tests/%.o: folder_cflags := $(client_inc) -I$(B)/gen

uv_libs = $(shell $(PKG_CONFIG) --libs libuv)
yaml_libs = $(shell $(PKG_CONFIG) --libs yaml-0.1)
msgpack_libs = $(shell $(PKG_CONFIG) --libs msgpack)
lib_libs := -lm
onnx_libs := -lprotobuf-c

.PHONY: all lib help
all: $(B)/xnord $(B)/xnorctl $(B)/libxnord.so $(B)/libxnord.a $(B)/libxnord.pc

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

lib: $(B)/libxnor.a $(B)/libxnor_onnx.a

# ---- compile and link ----------------------------------------------------------------------------

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@$(call say,CC)
	$(Q)$(CC) $(base_cflags) $(isa_cflags) $(folder_cflags) -MMD -MP -c $< -o $@

$(B)/gen/onnx/onnx.pb-c.c: /usr/include/onnx/onnx.proto
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=/usr/include --c_out=$(B)/gen onnx/onnx.proto
$(B)/gen/onnx/onnx.pb-c.o: $(B)/gen/onnx/onnx.pb-c.c
	$(Q)$(CC) $(filter-out $(WARN),$(base_cflags)) -I$(B)/gen -c $< -o $@
$(call objects,$(onnx_src)): | $(B)/gen/onnx/onnx.pb-c.c

$(B)/libxnor.a: $(call objects,$(lib_src))
$(B)/libxnor_onnx.a: $(call objects,$(onnx_src)) $(B)/gen/onnx/onnx.pb-c.o
$(B)/libxnord_proto.a: $(call objects,$(proto_src))
$(B)/libxnord.a: $(call objects,$(libxnord_src) $(proto_src))
$(B)/%.a:
	@rm -f $@
	@$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(B)/xnord: $(call objects,$(xnord_src)) $(B)/libxnord_proto.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ -lnng $(uv_libs) $(yaml_libs) $(msgpack_libs) $(lib_libs)

$(B)/libxnord.so: $(call objects,$(libxnord_src) $(proto_src)) clients/libxnord/libxnord.map
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) -shared -Wl,-soname,libxnord.so.0 \
	    -Wl,--version-script=clients/libxnord/libxnord.map $(filter %.o,$^) -o $@ -lnng $(msgpack_libs)

$(B)/libxnord.pc: clients/libxnord/libxnord.pc.in lib/include/xnor.h
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

$(B)/xnorctl: $(call objects,$(xnorctl_src)) $(B)/libxnord.a $(B)/libxnor_onnx.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ -lnng $(yaml_libs) $(msgpack_libs) $(onnx_libs) $(lib_libs) -llzf -lspng -lturbojpeg

# ---- tests ---------------------------------------------------------------------------------------

# The unit tests see the daemon's and the clients' parts as libraries, without their main().
unit_parts := $(call objects,$(filter-out %/main.c,$(xnord_src) $(xnorctl_src)))
criterion_libs = $(shell $(PKG_CONFIG) --libs criterion)
all_libs = -lnng $(uv_libs) $(yaml_libs) $(msgpack_libs) $(onnx_libs) $(lib_libs) -llzf -lspng -lturbojpeg

$(B)/units.a: $(unit_parts)
$(B)/tests/unit/all: $(call objects,$(unit_src)) $(B)/units.a $(B)/libxnord.a $(B)/libxnor_onnx.a \
    $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ $(criterion_libs) $(all_libs)

# No library but libc, so that it runs on any board.
$(B)/tests/kernels/check: $(call objects,$(kernels_check_src)) $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $(if $(filter-out $(HOST),$(ARCH)),-static) $^ -o $@ -lm

$(B)/tests/onnx/conformance: $(B)/tests/onnx/conformance.o $(B)/libxnor_onnx.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ $(onnx_libs) $(lib_libs)

$(B)/tests/models: $(B)/tests/models.o $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ $(lib_libs)

# Networks with random weights, for the tests.
$(B)/tests/e2e/%.xnor: tests/e2e/%.onnx tests/e2e/%.yaml $(B)/xnorctl
	@mkdir -p $(@D)
	@$(call say,XNOR)
	$(Q)$(B)/xnorctl compile $< -o $@ --describe tests/e2e/$*.yaml --points 128 > $@.log

$(B)/tests/e2e/daemon_test: $(call objects,$(e2e_src)) $(B)/libxnord.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ -lnng $(msgpack_libs) $(lib_libs)

test_programs := $(addprefix $(B)/,tests/unit/all tests/kernels/check tests/models tests/onnx/conformance \
    tests/e2e/daemon_test tests/e2e/segment.xnor tests/e2e/any_size.xnor tests/e2e/two.xnor tests/e2e/image.xnor \
    tests/e2e/fixed.xnor)
fuzz_programs := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(fuzz_src))

# Fuzz targets: clang builds everything they reach with the fuzzer's instrumentation.
fuzz_parts := $(lib_src) $(onnx_src) $(proto_src) $(filter-out %/main.c,$(xnorctl_src))
.PHONY: fuzz-programs
fuzz-programs:
	$(MAKE) B=$(B)/fuzz-objects CC=clang SAN=fuzzer-no-link,address,undefined \
	    CFLAGS=-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION \
	    $(addprefix $(B)/fuzz-objects/,fuzz.a)
	@mkdir -p $(B)/fuzz
	for target in $(fuzz_src); do name=$$(basename $$target .c); \
	    clang -std=c11 -D_GNU_SOURCE -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -O1 -g -fsanitize=fuzzer,address,undefined $(client_inc) $$target \
	    $(B)/fuzz-objects/fuzz.a -o $(B)/fuzz/$$name $(all_libs) || exit 1; done
$(B)/fuzz.a: $(call objects,$(filter-out %_test.c,$(fuzz_parts))) $(B)/gen/onnx/onnx.pb-c.o $(B)/libxnord.a
	@rm -f $@
	@$(call say,AR)
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

.PHONY: aarch64-programs
aarch64-programs:
	$(MAKE) ARCH=aarch64 B=$(B)/aarch64 $(B)/aarch64/tests/kernels/check $(B)/aarch64/tests/models

## make check        all tests but those of train/ (FUZZ_SECONDS=20 for each fuzz target)
.PHONY: check check-san check-train check-networks
check: all $(test_programs) fuzz-programs aarch64-programs
	tests/check.sh $(B) kernels models neon unit onnx daemon cli systemd install fuzz

## make check-san    unit and daemon tests under ASan+UBSan, daemon tests under TSan
check-san:
	$(MAKE) SAN=address,undefined check-part SUITES="kernels models unit daemon cli"
	$(MAKE) SAN=thread check-part SUITES="daemon"
.PHONY: check-part
check-part: all $(test_programs)
	tests/check.sh $(B) $(SUITES)

## make check-onnx   ONNX's own tests of every operator that we accept
.PHONY: check-onnx
check-onnx: $(B)/tests/onnx/conformance
	$(B)/tests/onnx/conformance /usr/share/libonnx-testdata

## make check-train  tests of train/ (needs make deps-train; those on data need XNORD_DATA)
check-train: all aarch64-programs
	tests/train.sh $(B)

## make check-networks  every network, binarizer, pool and export form through xnorctl against PyTorch (hours)
check-networks: all aarch64-programs
	tests/networks.sh $(B) $(CASES)

## make demo         labels the sample clouds through a private daemon
.PHONY: demo
demo: all
	tests/e2e/demo.sh $(B)

# ---- benchmarks ----------------------------------------------------------------------------------

$(B)/bench/models $(B)/bench/scaling: $(B)/bench/%: $(B)/bench/%.o $(B)/bench/engine.o $(B)/units.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ -llzf -lspng -lturbojpeg $(lib_libs)
$(B)/bench/daemon: $(B)/bench/daemon.o $(B)/libxnord.a $(B)/libxnor.a
	@$(call say,LD)
	$(Q)$(CC) $(base_ldflags) $^ -o $@ -lnng $(msgpack_libs) $(lib_libs)

## make bench        speed against the machine's limit, onnxruntime and an in-process call
.PHONY: bench
bench: all $(B)/bench/models $(B)/bench/scaling $(B)/bench/daemon $(B)/tests/kernels/check
	bench/run.sh $(B)

# ---- installing, packages, upkeep ----------------------------------------------------------------

bindir := $(DESTDIR)$(PREFIX)/bin
libdir := $(DESTDIR)$(PREFIX)/lib
mandir := $(DESTDIR)$(PREFIX)/share/man

## make install      DESTDIR= PREFIX=/usr/local; the unit file goes to PREFIX/lib/systemd
.PHONY: install
install: all
	install -d $(bindir) $(libdir)/pkgconfig $(libdir)/systemd/system $(libdir)/sysusers.d \
	    $(libdir)/tmpfiles.d $(DESTDIR)$(PREFIX)/include $(DESTDIR)/etc/xnord $(mandir)/man1 $(mandir)/man8
	install -m 755 $(B)/xnord $(B)/xnorctl $(bindir)
	install -m 755 $(B)/libxnord.so $(libdir)/libxnord.so.0
	ln -sf libxnord.so.0 $(libdir)/libxnord.so
	install -m 644 $(B)/libxnord.a $(libdir)
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' clients/libxnord/libxnord.pc.in \
	    > $(libdir)/pkgconfig/libxnord.pc
	install -m 644 $(wildcard clients/libxnord/include/*.h) proto/xnord_codes.h $(DESTDIR)$(PREFIX)/include
	sed 's|/usr/bin/|$(PREFIX)/bin/|g' systemd/xnord.service > $(libdir)/systemd/system/xnord.service
	install -m 644 systemd/xnord.sysusers $(libdir)/sysusers.d/xnord.conf
	install -m 644 systemd/xnord.tmpfiles $(libdir)/tmpfiles.d/xnord.conf
	test -e $(DESTDIR)/etc/xnord/xnord.yaml || install -m 644 config/xnord.yaml $(DESTDIR)/etc/xnord
	install -d $(DESTDIR)$(PREFIX)/share/doc/xnord
	install -m 644 config/xnord.yaml proto/PROTOCOL.md README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/xnord
	install -m 644 clients/xnorctl/xnorctl.1 $(mandir)/man1
	install -m 644 daemon/xnord.8 $(mandir)/man8
	for model in models/*/; do \
	    install -d $(DESTDIR)$(PREFIX)/share/xnord/$$model && \
	    install -m 644 $$model*.xnor $$model*.yaml $$model*.md $(DESTDIR)$(PREFIX)/share/xnord/$$model \
	        || exit 1; done

format_src := $(filter-out %.pb-c.h,$(wildcard lib/*/*.[ch] proto/*.[ch] daemon/*.[ch] clients/*/*.[ch] \
    clients/libxnord/include/*.h tests/*.[ch] tests/*/*.[ch] bench/*.[ch] train/rooms/*.c))

## make lint         clang-format, clang-tidy, cppcheck, shellcheck        make format   clang-format -i
.PHONY: lint format clean
lint:
	! grep -nE '@[A-Z]+@' README.md
	$(Q)clang-format --dry-run -Werror $(format_src)
	shellcheck $(wildcard tests/*.sh tests/*/*.sh bench/*.sh samples/*.sh) .ci/run
	# readdir is safe on a stream of one's own; the others misread out-parameters and unrolled tails.
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability \
	    --suppress=missingIncludeSystem --suppress=ctuuninitvar --suppress=readdirCalled \
	    --suppress=uninitvar:lib/kernels/* --suppress=nullPointer:lib/kernels/* --suppress=ctuArrayIndex:lib/kernels/* \
	    --library=posix -Ilib -Ilib/include -I. -Iproto \
	    -Iclients/libxnord/include lib proto daemon clients
format:
	$(Q)clang-format -i $(format_src)

## make clean        removes the build directories
clean:
	rm -rf build build-*

# Header dependencies that the compiler wrote.
-include $(shell find $(B) -name '*.d' 2>/dev/null)

endif # no deps goal
