# xnord: build, test, benchmark and install. `make help` lists the targets.
#   B=DIR             build directory (default build, build-SAN, build-ARCH)
#   CC=clang          any C11 compiler
#   SAN=address,undefined | SAN=thread
#   ARCH=aarch64      cross build with aarch64-linux-gnu-gcc (needs `make deps-cross`)

ARCH ?= $(shell uname -m)
HOST := $(shell uname -m)
SAN ?=
comma := ,
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter-out $(HOST),$(ARCH)),-$(ARCH))
PREFIX ?= /usr/local
DESTDIR ?=
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

# ---- sources: a folder is a library or a program -------------------------------------------------

lib_src := $(filter-out lib/onnx/%,$(wildcard lib/*/*.c))
onnx_src := $(wildcard lib/onnx/*.c)
proto_src := $(wildcard proto/*.c)
xnord_src := $(wildcard daemon/*.c)
libxnord_src := $(filter-out %/example.c,$(wildcard clients/libxnord/*.c))
xnorctl_src := $(wildcard clients/xnorctl/*.c)
unit_src := $(wildcard tests/unit/*.c)
kernels_check_src := $(wildcard tests/kernels/*.c)
bench_src := $(wildcard bench/*.c)

objects = $(patsubst %.c,$(B)/%.o,$(1))

lib_inc := -Ilib -Ilib/include
proto_inc := -I. -Iproto
client_inc := $(lib_inc) $(proto_inc) -Iclients/libxnord/include

# Instruction sets, one file each; the rest of the library is baseline code.
x86_avx2 := -mavx2 -mfma -mpopcnt -mbmi2
x86_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vpopcntdq -mavx512bitalg \
    -mavx512vbmi -mfma -mbmi2
ifeq ($(ARCH),x86_64)
$(B)/lib/kernels/avx2.o: isa_cflags := $(x86_avx2)
$(B)/lib/kernels/avx512.o: isa_cflags := $(x86_avx512)
endif
ifeq ($(ARCH),aarch64)
$(B)/lib/kernels/neon_dotprod.o: isa_cflags := -march=armv8.2-a+dotprod
endif

$(B)/lib/%.o: folder_cflags := $(lib_inc)
$(B)/lib/kernels/%.o $(B)/lib/exec/%.o: folder_cflags := $(lib_inc) $(if $(SAN),,-O3)
$(B)/lib/onnx/%.o: folder_cflags := $(lib_inc) -I$(B)/gen
$(B)/proto/%.o: folder_cflags := $(proto_inc)
$(B)/daemon/%.o $(B)/clients/%.o $(B)/bench/%.o: folder_cflags := $(client_inc)
$(B)/tests/%.o: folder_cflags := $(client_inc) -I$(B)/gen

uv_libs = $(shell $(PKG_CONFIG) --libs libuv)
yaml_libs = $(shell $(PKG_CONFIG) --libs yaml-0.1)
msgpack_libs = $(shell $(PKG_CONFIG) --libs msgpack)
lib_libs := -lpthreadpool -lm
onnx_libs := -lprotobuf-c

.PHONY: all lib help
all: $(B)/xnord $(B)/xnorctl $(B)/libxnord.so $(B)/libxnord.a $(B)/libxnord.pc

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

lib: $(B)/libxnor.a $(B)/libxnor_onnx.a

# ---- compile and link ----------------------------------------------------------------------------

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(base_cflags) $(isa_cflags) $(folder_cflags) -MMD -MP -c $< -o $@

$(B)/gen/onnx/onnx.pb-c.c: /usr/include/onnx/onnx.proto
	@mkdir -p $(B)/gen
	protoc-c --proto_path=/usr/include --c_out=$(B)/gen onnx/onnx.proto
$(B)/gen/onnx/onnx.pb-c.o: $(B)/gen/onnx/onnx.pb-c.c
	$(CC) $(filter-out $(WARN),$(base_cflags)) -I$(B)/gen -c $< -o $@
$(call objects,$(onnx_src)): | $(B)/gen/onnx/onnx.pb-c.c

$(B)/libxnor.a: $(call objects,$(lib_src))
$(B)/libxnor_onnx.a: $(call objects,$(onnx_src)) $(B)/gen/onnx/onnx.pb-c.o
$(B)/libxnord_proto.a: $(call objects,$(proto_src))
$(B)/libxnord.a: $(call objects,$(libxnord_src) $(proto_src))
$(B)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/xnord: $(call objects,$(xnord_src)) $(B)/libxnord_proto.a $(B)/libxnor.a
	$(CC) $(base_ldflags) $^ -o $@ -lnng $(uv_libs) $(yaml_libs) $(msgpack_libs) $(lib_libs)

$(B)/libxnord.so: $(call objects,$(libxnord_src) $(proto_src)) clients/libxnord/libxnord.map
	$(CC) $(base_ldflags) -shared -Wl,-soname,libxnord.so.0 \
	    -Wl,--version-script=clients/libxnord/libxnord.map $(filter %.o,$^) -o $@ -lnng $(msgpack_libs)

$(B)/libxnord.pc: clients/libxnord/libxnord.pc.in lib/include/xnor.h
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

$(B)/xnorctl: $(call objects,$(xnorctl_src)) $(B)/libxnord.a $(B)/libxnor_onnx.a $(B)/libxnor.a
	$(CC) $(base_ldflags) $^ -o $@ -lnng $(yaml_libs) $(msgpack_libs) $(onnx_libs) $(lib_libs) \
	    -lassimp -llzf
