# Holdfast's build: `make`, `make check`, `make test`, `make asan`, `make tsan`, `make lint`,
# `make fmt`, `make bench`, `make install PREFIX=... DESTDIR=...`, `make clean`.
#
# Variants: release writes to build/, asan and tsan to build/asan/ and build/tsan/; objects are in
# build/obj/VARIANT/. Sources are found by wildcard:
#   src/{base,core,store,client,worker,testing}/*.c   the library
#   src/cli/*.c, src/bench/*.c                        the command, and what measures
#   examples/NAME/*.c                                 a module, build/examples/NAME.so
#   tests/{unit,suite,sim,fuzz,cli}_*.c, tests/{guarantees,features,bad_days}_*.c   a test program each
#   tests/store_*.c                                   the store suite, linked to STORE_SUITES
#   tests/pg_serve.c                                  a program that tests start
#   tests/*.c otherwise                               helpers of all test programs
#   tests/*.sh, tests/*.t                             test scripts, executable, TAP
#   bench/*.c                                         a benchmark program each
# Asserts stay on in every variant.

VARIANT ?= release
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
INCDIR  ?= $(PREFIX)/include
MANDIR  ?= $(PREFIX)/share/man
CC      ?= cc
CFLAGS  ?= -O2 -g
INSTALL ?= install

OUT := $(if $(filter release,$(VARIANT)),build,build/$(VARIANT))
OBJ := build/obj/$(VARIANT)

version-part = $(shell sed -n 's/^.define HF_VERSION_$(1) *//p' include/holdfast.h)
MAJOR   := $(call version-part,MAJOR)
VERSION := $(MAJOR).$(call version-part,MINOR).$(call version-part,PATCH)
SONAME  := libholdfast.so.$(MAJOR)

PACKAGES  := sqlite3 libpq jansson
PKG_FLAGS := $(shell pkg-config --cflags $(PACKAGES))
LIBS      := $(shell pkg-config --libs $(PACKAGES)) -ldl -lm

WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 $(if $(CI),-Werror)
SANITIZE-asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SANITIZE-tsan := -fsanitize=thread -fno-omit-frame-pointer
SANITIZE := $(SANITIZE-$(VARIANT))
# How many times longer a test may take in this variant.
SLOW-asan := 4
SLOW-tsan := 8

ALL_CFLAGS  = -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc -Ibuild/gen $(PKG_FLAGS) -fPIC \
              -fvisibility=hidden -pthread $(WARNINGS) $(CFLAGS) $(SANITIZE) $(CPPFLAGS)
ALL_LDFLAGS = -pthread $(SANITIZE) $(LDFLAGS)

objects = $(patsubst %.c,$(OBJ)/%.o,$(1))
LIB_SRC  := $(wildcard $(patsubst %,src/%/*.c,base core store client worker testing))
CLI_SRC  := $(wildcard src/cli/*.c src/bench/*.c)
TEST_SRC := $(wildcard $(patsubst %,tests/%_*.c,unit suite sim fuzz cli guarantees features bad_days))
STORE_SUITE_SRC := $(wildcard tests/store_*.c)
HELPER_SRC := $(filter-out $(TEST_SRC) $(STORE_SUITE_SRC) tests/pg_serve.c,$(wildcard tests/*.c)) \
              $(patsubst %,src/bench/%.c,relay explain_drive explain_plan)
BENCH_SRC  := $(wildcard bench/*.c)
EXAMPLES   := $(patsubst examples/%/,%,$(sort $(dir $(wildcard examples/*/*.c))))
SQL        := $(shell find sql -type d -o -name '*.sql')
SQL_STORES := $(sort $(notdir $(wildcard sql/*)))
ALL_SRC    := $(LIB_SRC) $(CLI_SRC) $(wildcard tests/*.c bench/*.c examples/*/*.c)

LIBRARY  := $(OUT)/libholdfast.a $(OUT)/libholdfast.so $(OUT)/$(SONAME)
COMMAND  := $(if $(CLI_SRC),$(OUT)/holdfast)
MODULES  := $(EXAMPLES:%=$(OUT)/examples/%.so)
DATA     := $(patsubst %,$(OUT)/examples/%,$(notdir $(wildcard examples/*/*.jsonl)))
PROGRAMS := $(TEST_SRC:%.c=$(OUT)/%)
BENCHES  := $(BENCH_SRC:%.c=$(OUT)/%)
SCRIPTS  := $(wildcard tests/*.sh tests/*.t)
STORE_SUITES := suite_memory suite_memory_shared suite_sqlite suite_postgres

.PHONY: all programs check check-all test asan tsan lint fmt bench install clean
.DELETE_ON_ERROR:
.SECONDARY:
all: $(LIBRARY) $(COMMAND) $(MODULES) $(DATA)

$(OBJ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.c,$(OBJ)/%.d,$(ALL_SRC))

# What is in sql/STORE, as C strings for src/store/STORE*.c. SQL holds the directories too: a file
# that goes makes the header anew.
define sql-rule
build/gen/$(1)_sql.h: scripts/embed-sql $$(SQL)
	@mkdir -p $$(@D)
	scripts/embed-sql sql/$(1) > $$@
$$(call objects,$$(wildcard src/store/$(1)*.c tests/*.c bench/*.c)): build/gen/$(1)_sql.h
endef
$(foreach store,$(SQL_STORES),$(eval $(call sql-rule,$(store))))

$(OUT)/libholdfast.a: $(call objects,$(LIB_SRC))
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

$(OUT)/libholdfast.so: $(call objects,$(LIB_SRC)) src/libholdfast.map
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=src/libholdfast.map $(ALL_LDFLAGS) \
	    -o $@ $(filter %.o,$^) $(LIBS)

$(OUT)/$(SONAME): $(OUT)/libholdfast.so
	ln -sf libholdfast.so $@

# The command carries the whole library and exports hf_*: modules take their symbols from it.
$(OUT)/holdfast: $(call objects,$(CLI_SRC)) $(OUT)/libholdfast.a
	$(CC) $(ALL_LDFLAGS) -rdynamic -o $@ $(filter %.o,$^) \
	    -Wl,--whole-archive $(OUT)/libholdfast.a -Wl,--no-whole-archive $(LIBS)

define module-rule
$(OUT)/examples/$(1).so: $$(call objects,$(wildcard examples/$(1)/*.c))
	@mkdir -p $$(@D)
	$$(CC) -shared $$(ALL_LDFLAGS) -o $$@ $$^
endef
$(foreach name,$(EXAMPLES),$(eval $(call module-rule,$(name))))

# What modules work on lies beside them.
vpath %.jsonl $(wildcard examples/*)
$(OUT)/examples/%.jsonl: %.jsonl
	@mkdir -p $(@D)
	cp $< $@

$(OUT)/tests/libtest.a: $(call objects,$(HELPER_SRC))
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

$(patsubst %,$(OUT)/tests/%,$(STORE_SUITES)): $(call objects,$(STORE_SUITE_SRC))
$(OUT)/tests/%: $(OBJ)/tests/%.o $(OUT)/tests/libtest.a $(OUT)/libholdfast.a
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# Without the library: it outlives test programs, so it carries none of what they test.
$(OUT)/tests/pg_serve: $(call objects,tests/pg_serve.c src/bench/server.c src/bench/server_files.c)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/bench/%: $(OBJ)/bench/%.o $(OUT)/libholdfast.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(filter %.a,$^) $(LIBS)

programs: $(PROGRAMS) $(OUT)/tests/pg_serve

# Scripts find what they test by HOLDFAST (the command) and BUILD (the directory).
PROVE = env HOLDFAST=$(CURDIR)/$(OUT)/holdfast BUILD=$(CURDIR)/$(OUT) TEST_SLOW=$(SLOW-$(VARIANT)) \
        prove --nocolor --timer --failures --comments -j2 --exec ''

# Minutes of a working day: unit and suite programs, their long tests shortened.
check: all programs
	TEST_QUICK=1 $(PROVE) $(filter $(OUT)/tests/unit_% $(OUT)/tests/suite_%,$(PROGRAMS))

check-all: all programs
	$(PROVE) $(PROGRAMS) $(SCRIPTS)

# Everything: all tests, then all test programs under the sanitizers.
test:
	$(MAKE) check-all
	$(MAKE) asan
	$(MAKE) tsan

asan tsan:
	$(MAKE) VARIANT=$@ sanitized

# Not those that measure costs, nor the days on which leases of real time run out under a load of
# processes: they fork from programs with threads, which TSan does not follow. cli_stats_far does so
# too, and hangs under TSan alone.
SANITIZED = $(filter-out $(OUT)/tests/bad_days_postgres_% $(OUT)/tests/unit_pg_costs \
                         $(OUT)/tests/unit_pg_plans \
                         $(if $(filter tsan,$(VARIANT)),$(OUT)/tests/cli_stats_far),$(PROGRAMS))

.PHONY: sanitized
sanitized: all programs
	ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
	TSAN_OPTIONS=halt_on_error=1:atexit_sleep_ms=50 TEST_QUICK=1 $(PROVE) $(SANITIZED)

lint:
	scripts/lint

fmt:
	git ls-files -co --exclude-standard -- $(or $(FILES),"*.c" "*.h") | xargs clang-format -i

bench: all $(BENCHES)
	$(if $(wildcard bench/run),bench/run $(OUT),for b in $(BENCHES); do $$b || exit 1; done)

# Made anew each time, for it says PREFIX.
.PHONY: $(OUT)/holdfast.pc
$(OUT)/holdfast.pc:
	@mkdir -p $(@D)
	printf '%s\n' 'Name: holdfast' 'Description: durable workflows and tasks' \
	    'Version: $(VERSION)' 'Requires.private: $(PACKAGES)' 'Cflags: -I$(INCDIR)' \
	    'Libs: -L$(LIBDIR) -lholdfast' 'Libs.private: -pthread -ldl -lm' > $@

install: all $(OUT)/holdfast.pc
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCDIR)
	$(if $(COMMAND),$(INSTALL) -m 755 $(COMMAND) $(DESTDIR)$(BINDIR)/holdfast)
	$(INSTALL) -m 644 include/holdfast.h $(DESTDIR)$(INCDIR)/holdfast.h
	$(INSTALL) -m 644 $(OUT)/libholdfast.a $(DESTDIR)$(LIBDIR)/libholdfast.a
	$(INSTALL) -m 755 $(OUT)/libholdfast.so $(DESTDIR)$(LIBDIR)/libholdfast.so.$(VERSION)
	ln -sf libholdfast.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libholdfast.so
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/holdfast/examples
	$(INSTALL) -m 755 $(MODULES) $(DESTDIR)$(LIBDIR)/holdfast/examples
	$(INSTALL) -m 644 $(DATA) $(DESTDIR)$(LIBDIR)/holdfast/examples
	$(INSTALL) -m 644 $(OUT)/holdfast.pc $(DESTDIR)$(LIBDIR)/pkgconfig/holdfast.pc
	for page in $(wildcard man/*.[1-8]); do section=$${page##*.}; \
	    $(INSTALL) -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$$section/$${page#man/} || exit 1; done

clean:
	rm -rf build
