# SPDX-License-Identifier: Apache-2.0
# The only Makefile.  `make help` lists the targets; config.mk holds local
# choices.  Every file of a layer's folder belongs to that layer's library.

-include config.mk

VERSION := 0.1.0
VERSION_DATE := 2026-11-23
APPC_VERSION := 0.8.11

PREFIX ?= /usr/local
DESTDIR ?=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG ?= clang
SAN ?=
DEVELOPER ?= 0
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

comma := ,
variant := $(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(findstring clang,$(CC)),-clang)
B := build$(variant)

# --- sources -----------------------------------------------------------------

LAYERS := base spec aci stage0
$(foreach l,$(LAYERS),$(eval $(l)_SRC := $(wildcard $(l)/*.c)))
rkt_SRC := $(wildcard cmd/rkt/*.c)
stage1_SRC := $(wildcard stage1/*.c)
stage1-fly_SRC := $(wildcard stage1-fly/*.c)
rkt-fetch_SRC := $(wildcard cmd/rkt-fetch/*.c)
rkt-http_SRC := $(wildcard cmd/rkt-http/*.c)
rkt-machine_SRC := $(wildcard cmd/rkt-machine/*.c)
rkt-journal_SRC := $(wildcard cmd/rkt-journal/*.c)
rkt-metadata_SRC := $(wildcard cmd/rkt-metadata/*.c)
rkt-api_SRC := $(wildcard cmd/rkt-api/*.c)
rkt-forward_SRC := $(wildcard cmd/rkt-forward/*.c)
actool_SRC := $(wildcard cmd/actool/*.c)
unit_SRC := $(wildcard tests/unit/test_*.c tests/conformance/*.c)
fuzz_SRC := $(wildcard tests/fuzz/fuzz_*.c)
inside_SRC := $(wildcard tests/inside/*.c)
tool_SRC := $(inside_SRC) $(wildcard tests/*.c tests/bench/*.c tests/images/*.c)
headers := $(wildcard base/*.h spec/*.h aci/*.h stage0/*.h stage1/*.h stage1-fly/*.h cmd/*/*.h tests/*/*.h)
all_SRC := $(foreach l,$(LAYERS),$($(l)_SRC)) $(rkt_SRC) $(stage1_SRC) $(stage1-fly_SRC) \
	$(rkt-fetch_SRC) $(rkt-http_SRC) $(rkt-machine_SRC) $(rkt-journal_SRC) $(rkt-metadata_SRC) $(rkt-api_SRC) $(rkt-forward_SRC) $(actool_SRC) $(unit_SRC) $(fuzz_SRC) $(tool_SRC)

# What each program links: layers, right to left, then packages.  rkt and
# stage1 are static: the dynamic loader costs more than either does itself.
# A program exists once it has a main.
PROGRAMS := $(foreach p,bin/rkt bin/actool libexec/rkt/stage1 libexec/rkt/stage1-fly libexec/rkt/rkt-fetch libexec/rkt/rkt-http libexec/rkt/rkt-machine libexec/rkt/rkt-journal libexec/rkt/rkt-metadata libexec/rkt/rkt-api libexec/rkt/rkt-forward,$(if $(filter %/main.c,$($(notdir $(p))_SRC)),$(p)))
bin/rkt_LAYERS := stage0 aci spec base
bin/rkt_PKGS := jansson sqlite3 libcap
libexec/rkt/stage1_LAYERS := spec base
libexec/rkt/stage1_PKGS := jansson libseccomp libcap
libexec/rkt/stage1-fly_LAYERS := stage1 spec base
libexec/rkt/stage1-fly_PKGS := jansson libseccomp libcap
libexec/rkt/rkt-fetch_LAYERS := aci spec base
libexec/rkt/rkt-fetch_PKGS := jansson libarchive librnp libcrypto libseccomp liblzma libzstd libisal libxml-2.0
libexec/rkt/rkt-fetch_LIBS := -lbz2
libexec/rkt/rkt-http_LAYERS := aci spec base
libexec/rkt/rkt-http_PKGS := libcurl libseccomp libcrypto
libexec/rkt/rkt-machine_LAYERS := base
libexec/rkt/rkt-machine_PKGS := libsystemd
libexec/rkt/rkt-journal_LAYERS := base
libexec/rkt/rkt-journal_PKGS := libsystemd
libexec/rkt/rkt-metadata_LAYERS := aci spec base
libexec/rkt/rkt-metadata_PKGS := jansson libmicrohttpd libseccomp libcrypto
libexec/rkt/rkt-api_LAYERS := stage0 aci spec base
libexec/rkt/rkt-api_PKGS := jansson sqlite3 libnghttp2 libmicrohttpd libseccomp
libexec/rkt/rkt-forward_LAYERS := aci spec base
libexec/rkt/rkt-forward_PKGS := libseccomp
bin/actool_LAYERS := aci spec base
bin/actool_PKGS := jansson libarchive librnp libcrypto libcap libseccomp
STATIC_PROGRAMS := $(if $(SAN),,bin/rkt libexec/rkt/stage1 libexec/rkt/stage1-fly)

# --- packages ----------------------------------------------------------------

DEPS_BUILD := gcc make pkg-config libc6-dev libarchive-dev libssl-dev \
	libjansson-dev libseccomp-dev libcap-dev librnp-dev libisal-dev \
	liblzma-dev libbz2-dev libzstd-dev libsqlite3-dev \
	libcurl4-openssl-dev libxml2-dev libsystemd-dev libmicrohttpd-dev libnghttp2-dev
DEPS_RUN := containernetworking-plugins iptables
DEPS_CHECK := libcriterion-dev attr systemd systemd-container dbus clang clang-format clang-tidy \
	libclang-rt-14-dev bats jq gnupg busybox-static nginx-light \
	docker-registry skopeo umoci redis-server python3 python3-grpcio python3-protobuf protobuf-compiler python3-prometheus-client bsdextrautils iproute2 procps util-linux uidmap socat \
	netcat-openbsd curl bzip2 xz-utils zstd git strace shellcheck \
	nftables libcap2-bin openssl mandoc groff zsh fish
DEPS_BENCH := crun bubblewrap podman wrk
DEPS_PACKAGE := debhelper dpkg-dev lintian mmdebstrap
DEPS := $(DEPS_BUILD) $(DEPS_RUN) $(DEPS_CHECK)

PKGS := jansson sqlite3 libcap libseccomp libarchive librnp libcrypto liblzma libzstd libisal \
	libcurl libxml-2.0
libxml_I := $(shell pkg-config --cflags-only-I libxml-2.0 2>/dev/null)

# --- flags -------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wwrite-strings \
	-Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wnull-dereference \
	-Wno-format-truncation -Wno-unknown-warning-option
ifeq ($(DEVELOPER),1)
WARN += -Werror
endif
OPT := $(if $(SAN),-O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=undefined,-O2 -g -D_FORTIFY_SOURCE=2)
HARDEN := -fstack-protector-strong -fno-common -fPIE
CPPFLAGS_ALL := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. $(libxml_I) \
	-DRKT_VERSION='"$(VERSION)"' -DRKT_APPC_VERSION='"$(APPC_VERSION)"' \
	$(CPPFLAGS)
CFLAGS_ALL := -std=gnu17 $(OPT) $(WARN) $(HARDEN) -ffunction-sections -fdata-sections -pthread $(CFLAGS)
LDFLAGS_ALL := $(if $(SAN),-fsanitize=$(SAN)) -Wl,--gc-sections -Wl,-z,relro,-z,now -pthread $(LDFLAGS)

ifneq ($(filter-out deps clean help format check-layers,$(or $(MAKECMDGOALS),all)),)
$(foreach p,$(PKGS) libsystemd libmicrohttpd libnghttp2,$(eval $(p)_L := $(shell pkg-config --libs $(p) 2>/dev/null))$(eval $(p)_S := $(shell pkg-config --static --libs $(p) 2>/dev/null)))
endif

.PHONY: all deps check check-unit check-vm check-cli check-fuzz-corpus \
	check-headers check-layers check-format check-san demo bench \
	bench-image bench-journal bench-pods bench-update downloads lint fuzz \
	format install uninstall man deb check-package clean help compile_commands.json
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS:%=$(B)/%)

help:
	@printf '%s\n' \
	'make                 build $(B)/bin/{rkt,actool} and $(B)/libexec/rkt/*' \
	'make check           install what is missing, build, run every test' \
	'make demo            two signed nginx images, a pod, a live update' \
	'make deps            install the Debian packages all of this needs' \
	'make check-unit      unit and conformance tests (FILTER=suite/*)' \
	'make check-cli       black-box tests (BATS=tests/cli/10-run.bats)' \
	'make check-fuzz-corpus  replay every fuzz corpus' \
	'make check-vm        cgroup v2 and an older kernel, in an emulated machine' \
	'make check-package   the Debian package, in a clean Debian' \
	'make check-layers check-headers check-format   structure of the code' \
	'make check-san       unit and CLI tests under ASan and UBSan' \
	'make fuzz            fuzz every target (FUZZ_TIME=60 seconds each)' \
	'make bench           ratios against crun, bwrap, podman and a floor' \
	'make bench-pods      many pods, their ports and networks, beside podman (FULL=1)' \
	'make bench-image     what an import, a start and a removal cost (PRIORITY="nice -n -20")' \
	'make downloads       fetch the packages update tests use (or of SERVERS)' \
	'make bench-journal   CPU of stage1 for lines that go to journald' \
	'make bench-update    updates of real servers under load, as a table and SVGs' \
	'make lint            format, clang-tidy, cppcheck, shellcheck, layers' \
	'make format          clang-format the whole tree' \
	'make install         PREFIX=$(PREFIX) DESTDIR=' \
	'make uninstall       remove what install put there' \
	'make deb             a Debian package, in $(B)/deb' \
	'make man             the manual pages, in $(B)/man' \
	'make compile_commands.json   for clangd' \
	'Variables: CC=clang SAN=address,undefined DEVELOPER=1 V=1'

deps:
	@dpkg-query -W -f '$${db:Status-Status}\n' $(DEPS) 2>/dev/null | grep -c '^installed$$' | \
	grep -qx '$(words $(DEPS))' || { apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEPS); }

# --- rules -------------------------------------------------------------------

$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || \
	echo '$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@
.PHONY: FORCE
FORCE:

$(B)/obj/cmd/rkt/completion.o: $(wildcard dist/completion/*)

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@[ $(V) = 1 ] || echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

define layer_rule
$(B)/lib$(1).a: $$($(1)_SRC:%.c=$(B)/obj/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
# stage1 for stage1-fly, which takes of it what it needs.
$(foreach l,$(LAYERS) stage1,$(eval $(call layer_rule,$(l))))

# $(1) program, $(2) sources
define program_rule
$(B)/$(1): $(2:%.c=$(B)/obj/%.o) $$($(1)_LAYERS:%=$(B)/lib%.a)
	@mkdir -p $$(@D)
	@[ $(V) = 1 ] || echo '  LINK  $$@'
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(if $(filter $(1),$(STATIC_PROGRAMS)),-static-pie,-pie) -o $$@ $(2:%.c=$(B)/obj/%.o) \
		$$($(1)_LAYERS:%=$(B)/lib%.a) \
		$$(foreach p,$$($(1)_PKGS),$$($$(p)_$(if $(filter $(1),$(STATIC_PROGRAMS)),S,L))) $$($(1)_LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p),$($(notdir $(p))_SRC))))

-include $(all_SRC:%.c=$(B)/obj/%.d)

# --- tests -------------------------------------------------------------------

FILTER ?= *
BATS ?= tests/cli

# Unit tests see every layer and stage1's pure modules, not the mains.
unit_OBJ := $(unit_SRC:%.c=$(B)/obj/%.o) \
	$(filter-out %/main.o,$(stage1_SRC:%.c=$(B)/obj/%.o))
$(B)/tests/unit: $(unit_OBJ) $(LAYERS:%=$(B)/lib%.a)
	@mkdir -p $(@D)
	@[ $(V) = 1 ] || echo '  LINK  $@'
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -Wl,--no-gc-sections -pie -o $@ $(unit_OBJ) \
		$(B)/libstage0.a $(B)/libaci.a $(B)/libspec.a $(B)/libbase.a \
		$(foreach p,$(PKGS),$($(p)_L)) -lbz2 -lcriterion

# What the virtual machine runs: few libraries, because starting a program
# is what takes long in there.
vm_OBJ := $(patsubst %,$(B)/obj/tests/unit/test_%.o,cgroup network) \
	$(filter-out %/main.o,$(stage1_SRC:%.c=$(B)/obj/%.o))
$(B)/tests/unit-vm: $(vm_OBJ) $(B)/libspec.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -pie -o $@ $^ \
		$(foreach p,jansson libcap libseccomp,$($(p)_L)) -lcriterion

check-vm: all $(B)/tests/unit-vm $(B)/tests/inside $(B)/tests/load
	BUILD=$(B) sh tests/vm/run.sh

check-unit: $(B)/tests/unit
	sh tests/run-unit.sh $(B)/tests/unit '$(FILTER)'

# Programs the tests run, inside pods or beside them: static, and never
# sanitized.
$(B)/tests/inside: $(inside_SRC) tests/inside/inside.h
$(B)/tests/load: tests/load.c
$(B)/tests/inside $(B)/tests/load: $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -std=gnu17 -O2 $(WARN) -static -o $@ $(filter %.c,$^)

# stage1 of a later version, which hands over more than this one knows.
next_SRC := stage1/adopt.c stage1/enter_freeze.c stage1/handoff.c \
	stage1/reexec.c stage1/run.c
next_OBJ := $(next_SRC:%.c=$(B)/obj/next/%.o) \
	$(patsubst %.c,$(B)/obj/%.o,$(filter-out $(next_SRC),$(stage1_SRC)))
$(next_SRC:%.c=$(B)/obj/next/%.o): $(B)/obj/next/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) -URKT_VERSION -DRKT_VERSION='"$(VERSION)-next"' \
		-DRKT_TEST_NEXT_STAGE1 -DRKT_TEST_HOOKS $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(B)/tests/stage1-next: $(next_OBJ) $(B)/libspec.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(if $(SAN),-pie,-static-pie) -o $@ $^ \
		$(foreach p,$(libexec/rkt/stage1_PKGS),$($(p)_$(if $(SAN),L,S)))
-include $(next_SRC:%.c=$(B)/obj/next/%.d)

# The filter as stage1 makes it.
filter_cost_OBJ := $(patsubst %,$(B)/obj/%.o,tests/bench/filter_cost \
	$(basename $(wildcard stage1/seccomp*.c)))
$(B)/tests/filter_cost: $(filter_cost_OBJ) $(B)/libspec.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -pie -o $@ $^ \
		$(foreach p,jansson libcap libseccomp,$($(p)_L))

# The stages of an import, with the code of rkt-fetch.
$(B)/tests/image_stages: $(B)/obj/tests/bench/image_stages.o $(B)/libaci.a $(B)/libspec.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -pie -o $@ $^ \
		$(foreach p,$(libexec/rkt/rkt-fetch_PKGS),$($(p)_L)) $(libexec/rkt/rkt-fetch_LIBS)

check-cli: all man $(B)/tests/inside $(B)/tests/load $(B)/tests/stage1-next
	BUILD=$(B) sh tests/run-cli.sh $(BATS)

$(B)/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(LAYERS:%=$(B)/lib%.a) $(filter-out %/main.o,$(stage1_SRC:%.c=$(B)/obj/%.o))
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -pie -o $@ $(filter %.c,$^) $(filter %.o,$^) \
		$(B)/libstage0.a $(B)/libaci.a $(B)/libspec.a $(B)/libbase.a $(foreach p,$(PKGS),$($(p)_L)) -lbz2

# For tests/fuzz/run.sh: with libFuzzer's main, by clang.
$(B)/fuzzer/%: tests/fuzz/%.c $(LAYERS:%=$(B)/lib%.a) $(filter-out %/main.o,$(stage1_SRC:%.c=$(B)/obj/%.o))
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -fsanitize=fuzzer -pie -o $@ $(filter %.c,$^) $(filter %.o,$^) \
		$(B)/libstage0.a $(B)/libaci.a $(B)/libspec.a $(B)/libbase.a $(foreach p,$(PKGS),$($(p)_L)) -lbz2

check-fuzz-corpus: $(fuzz_SRC:tests/%.c=$(B)/%)
	@for f in $(notdir $(fuzz_SRC:.c=)); do \
		$(B)/fuzz/$$f tests/fuzz/corpus/$${f#fuzz_} || exit 1; done

FUZZ_TIME ?= 60
fuzz:
	FUZZ_TIME=$(FUZZ_TIME) CLANG=$(CLANG) sh tests/fuzz/run.sh $(fuzz_SRC)

check-layers:
	sh tests/check-layers.sh

check-headers:
	@for h in $(filter-out base/banned.h,$(headers)); do \
		echo "#include \"$$h\"" | $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -Werror -fsyntax-only -x c - || \
		{ echo "$$h does not compile alone"; exit 1; }; done

check-format:
	clang-format --dry-run -Werror $(all_SRC) $(headers)

format:
	clang-format -i $(all_SRC) $(headers)

check: deps
	MAKE='$(MAKE)' sh tests/check.sh

check-san: deps
	MAKE='$(MAKE)' sh tests/check.sh san

demo: deps
	$(MAKE) all $(B)/tests/load
	BUILD=$(B) bash tests/demo.sh

bench: DEPS += $(DEPS_BENCH)
bench: deps
	$(MAKE) all
	BUILD=$(B) bash tests/bench/run.sh $(BENCH)

bench-pods: DEPS += $(DEPS_BENCH)
bench-pods: deps
	$(MAKE) all
	BUILD=$(B) bash tests/bench/run.sh network ports many apps memory sequence

# IMAGES="import https peers start walk remove xz many", IMAGE=FILE.aci.
bench-image: DEPS += $(DEPS_BENCH)
bench-image: deps
	$(MAKE) all $(B)/tests/image_stages
	BUILD=$(B) bash tests/bench/image.sh $(IMAGES)

bench-journal: deps
	$(MAKE) all
	BUILD=$(B) bash tests/bench/journal.sh

# For tests that may not use the network.  Not having them fails nothing.
downloads:
	-bash tests/images/build-real.sh --download $(or $(SERVERS),nginx haproxy redis)

# HANDOVER="table peers cost", FULL=1 for a million connections.
bench-update: DEPS += $(DEPS_BENCH)
bench-update: deps
	$(MAKE) all $(B)/tests/load $(B)/tests/filter_cost
	BUILD=$(B) bash tests/bench/handover $(HANDOVER)

lint: check-layers check-headers check-format
	sh tests/lint.sh $(all_SRC) -- $(CPPFLAGS_ALL)

# --- installing --------------------------------------------------------------

MAN := $(B)/man
man: $(MAN)/.done
$(MAN)/.done: $(B)/bin/rkt $(B)/bin/actool $(wildcard dist/man/* dist/man/more/*)
	@[ $(V) = 1 ] || echo '  MAN   $(MAN)'
	$(Q)sh dist/man/build.sh $(B) $(MAN) $(VERSION_DATE)
	@touch $@

# Where things go below PREFIX; a distribution may know better.
MANDIR ?= share/man
DOCDIR ?= share/doc/rkt
BASHDIR ?= share/bash-completion/completions
ZSHDIR ?= share/zsh/site-functions
FISHDIR ?= share/fish/vendor_completions.d
UNITDIR ?= lib/systemd/system
USERUNITDIR ?= lib/systemd/user
SYSUSERSDIR ?= lib/sysusers.d
TMPFILESDIR ?= lib/tmpfiles.d

install_to = PREFIX='$(PREFIX)' BUILD=$(B) ROOT='$(1)$(PREFIX)' MANDIR='$(MANDIR)' DOCDIR='$(DOCDIR)' \
	BASHDIR='$(BASHDIR)' ZSHDIR='$(ZSHDIR)' FISHDIR='$(FISHDIR)' UNITDIR='$(UNITDIR)' USERUNITDIR='$(USERUNITDIR)' \
	SYSUSERSDIR='$(SYSUSERSDIR)' TMPFILESDIR='$(TMPFILESDIR)' sh dist/install.sh

install: all man
	$(call install_to,$(DESTDIR))

# What this version installs; pods, images and configuration stay.
uninstall: all man
	rm -rf $(B)/uninstall
	$(call install_to,$(abspath $(B))/uninstall)
	cd $(B)/uninstall$(PREFIX) && find . ! -type d -exec rm -f '$(DESTDIR)$(PREFIX)/{}' \;
	-rmdir $(DESTDIR)$(PREFIX)/libexec/rkt $(DESTDIR)$(PREFIX)/$(DOCDIR)
	rm -rf $(B)/uninstall

# rkt_*.deb in $(DEB), of this tree as it is; DEB_BUILD_OPTIONS as Debian's.
DEB := $(B)/deb
deb:
	rm -rf $(DEB)
	mkdir -p $(DEB)/rkt-$(VERSION)
	tar -c --exclude-vcs --exclude='./build*' --exclude=./config.mk . | tar -x -C $(DEB)/rkt-$(VERSION)
	cp -r dist/debian $(DEB)/rkt-$(VERSION)/debian
	cd $(DEB)/rkt-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -b -us -uc -d -j$(shell nproc)
	rm -rf $(DEB)/rkt-$(VERSION)
	ls $(DEB)

check-package: DEPS += $(DEPS_PACKAGE)
check-package: deps
	$(MAKE) $(B)/tests/inside
	BUILD=$(B) bash tests/package.sh

compile_commands.json:
	rm -rf $(B)/obj
	bear -- $(MAKE) all

clean:
	rm -rf build build-* compile_commands.json
