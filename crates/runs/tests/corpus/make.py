"""Makes the logs of this directory again: `make.py [NAME…]`, as root on Debian 12.

Each case runs real tools in an empty directory and keeps what they printed, how they ended, and the label that
people gave the case. Nothing but package registries is contacted: network failures are names under
`.invalid` and ports of loopback where nobody listens.

Needs: gcc g++ gfortran clang lld mold make cmake ninja-build meson cargo golang ghc npm pip git curl wget tar
apt autoconf dune opam ruby pytest openjdk.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
CGROUP = pathlib.Path("/sys/fs/cgroup/memory/corpus")
CASES = []


def case(name, category, stage, script, seconds=None, memory=None, disk=None, lines=400, plain=True):
    """A log to make: killed after `seconds`, held to `memory` MiB, on a disk of `disk` KiB."""
    CASES.append((name, category, stage, script, seconds, memory, disk, lines, plain))


def run(script, directory, seconds, memory, plain):
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(directory / ".home"), "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp",
        "CARGO_HOME": str(directory / ".cargo"), "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.path.expanduser("~/.rustup")),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_RETRIES": "1", "PYTHONDONTWRITEBYTECODE": "1",
        "GOFLAGS": "-mod=mod", "GOPATH": str(directory / ".go"), "GOCACHE": str(directory / ".gocache"), "OPAMROOTISOK": "1", "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "TERM": "dumb" if plain else "xterm-256color",
    }
    prepare = f"echo $$ > {CGROUP}/cgroup.procs\n" if memory else ""
    exit = {}
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(["bash", "-c", prepare + script], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = child.wait(seconds or 300)
            exit = {"signal": -code} if code < 0 else {"code": code}
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            exit = {"timedOut": True}
        log.seek(0)
        return log.read(), exit


def scrub(log, directory):
    text = log.decode("utf-8", "surrogateescape")
    for old, new in [(str(directory), "/build"), (os.path.expanduser("~"), "/home/builder")]:
        text = text.replace(old, new)
    text = re.sub(rf"\b{re.escape(os.uname().nodename)}\b", "builder", text)
    text = re.sub(r"\bon [\d.]+:53\b", "on 192.0.2.53:53", text)
    text = re.sub(r"(?m)^npm notice.*\n", "", text)
    text = re.sub(r"\b(HTTPS?ConnectionPool\(host=')[^'.]+(\.[^'.]+)*\.(org|com|io)'", r"\1registry.example'", text)
    return text.encode("utf-8", "surrogateescape")


def make(name, category, stage, script, seconds, memory, disk, lines, plain):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="corpus-"))
    (directory / ".home").mkdir()
    if disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}k", "none", directory], check=True)
        (directory / ".home").mkdir()
    if memory:
        CGROUP.mkdir(exist_ok=True)
        (CGROUP / "memory.limit_in_bytes").write_text(f"{memory}M")
    try:
        log, exit = run(script, directory, seconds, memory, plain)
    finally:
        if disk:
            subprocess.run(["umount", "-l", directory], check=True)
        shutil.rmtree(directory, ignore_errors=True)
        if memory:
            killed = "\noom_kill 0\n" not in (CGROUP / "memory.oom_control").read_text() + "\n"
            CGROUP.rmdir()
            # Not every executor can tell.
            if killed and not name.endswith("-unseen"):
                exit["outOfMemory"] = True
    log = b"".join(scrub(log, directory).splitlines(True)[-lines:])
    (HERE / f"{name}.log").write_bytes(log)
    return {"log": f"{name}.log", "category": category, "stage": stage, "exit": exit}


def main():
    manifest = HERE / "manifest.jsonl"
    old = {entry["log"]: entry for entry in map(json.loads, manifest.read_text().splitlines())} if manifest.exists() else {}
    wanted = sys.argv[1:]
    for arguments in CASES:
        if not wanted or any(arguments[0].startswith(name) for name in wanted):
            entry = make(*arguments)
            print(entry, flush=True)
            old[entry["log"]] = {**old.get(entry["log"], {}), **entry}
    manifest.write_text("".join(json.dumps(old[log]) + "\n" for log in sorted(old)))


# Compilers and linkers.
case("gcc-undeclared-errno", "build_failure", "build", r"""
printf 'int main(void) {\n  int e = 110;\n  return e == ETIMEDOUT || e == ENOSPC || e == ECONNREFUSED;\n}\n' > retry.c; gcc -Wall -c retry.c""")
case("gcc-quoted-message", "build_failure", "build", r"""
printf '#include <stdio.h>\nint main(void) {\n  perror("write: No space left on device") return 1;\n}\n' > full.c; gcc -Wall -c full.c""")
case("gcc-werror", "build_failure", "build", r"""
printf 'int unused(void) {\n  int connection_refused;\n  return 0;\n}\n' > net.c; gcc -Wall -Werror -c net.c""")
case("gcc-missing-header", "missing_system_package", "build", r"""
printf '#include <nonesuch/zlib.h>\nint x;\n' > a.c; gcc -c a.c""")
case("gcc-own-header-missing", "build_failure", "build", r"""
printf '#include "generated/config.h"\nint x;\n' > a.c; printf 'all: a.o\na.o: a.c\n\tgcc -Iinclude -c a.c\n' > Makefile; make""")
case("gcc-internal-error", "crash", "build", r"""
echo 'int x;' > a.c; printf '#!/bin/bash\nkill -SEGV $$\n' > cc1; chmod +x cc1; gcc -B$PWD/ -c a.c""")
case("gcc-out-of-memory-ulimit", "out_of_memory", "build", r"""
python3 -c "
print('int t[] = {')
for i in range(400000): print(f'{i}*3+{i},')
print('};')" > big.c; ulimit -v 60000; gcc -O2 -c big.c""")
GXX = r"""
cat > big.cc <<'E'
template<unsigned N> struct F { static constexpr unsigned long v = F<N-1>::v + F<N-2>::v; char c[N]; };
template<> struct F<0> { static constexpr unsigned long v = 0; };
template<> struct F<1> { static constexpr unsigned long v = 1; };
#include <map>
#include <string>
#include <regex>
#include <iostream>
unsigned long x = F<20000>::v;
E
printf 'big.o: big.cc\n\tg++ -ftemplate-depth=100000 -O2 -c big.cc\n' > Makefile; make"""
case("gxx-killed-by-memory", "out_of_memory", "build", GXX, memory=60)
case("gxx-killed-by-memory-unseen", "out_of_memory", "build", GXX, memory=60)
case("gxx-templates", "build_failure", "build", r"""
printf '#include <vector>\n#include <algorithm>\nstruct S {};\nint main() { std::vector<S> v; std::sort(v.begin(), v.end()); }\n' > a.cc; g++ -c a.cc""", lines=60)
case("gcc-disk-full", "disk_full", "build", r"""
head -c 40K /dev/zero > fill; python3 -c "
for i in range(3000): print(f'int f{i}(int a) {{ return a * {i} + 7; }}')" > /tmp/source-big.c
export TMPDIR=$PWD; gcc -g -c /tmp/source-big.c -o big.o; s=$?; rm -f /tmp/source-big.c; exit $s""", disk=256)
case("gcc-fortran", "build_failure", "build", r"""
printf 'program p\n  integer :: i\n  i = "text"\n  call nothing(j)\n  implicit none\nend program\n' > p.f90; gfortran -c p.f90""")
case("gcc-linking-colour", "build_failure", "build", r"""
printf 'int timeout(int);\nint main(void) { return timeout(3); }\n' > m.c; gcc -fdiagnostics-color=always m.c -o m""")
case("clang-undeclared", "build_failure", "build", r"""
printf 'int main() { return network_unreachable; }\n' > a.c; clang -fcolor-diagnostics -c a.c""", plain=False)
case("clang-missing-header", "missing_system_package", "build", r"""
printf '#include <openssl-nonesuch.h>\n' > a.c; clang -c a.c""")
case("clang-many-errors", "build_failure", "build", r"""
for i in $(seq 30); do echo "int f$i() { return e$i; }"; done > a.c; clang -c a.c""")
case("ld-undefined", "build_failure", "build", r"""
printf 'extern int connect_timed_out(void);\nint main(void) { return connect_timed_out(); }\n' > a.c; gcc a.c -o a""")
case("ld-missing-library", "missing_system_package", "build", r"""
echo 'int main(void) { return 0; }' > a.c; gcc a.c -lnonesuch -o a""")
case("lld-missing-library", "missing_system_package", "build", r"""
echo 'int main(void) { return 0; }' > a.c; clang -fuse-ld=lld a.c -lnonesuch -o a""")
case("lld-undefined", "build_failure", "build", r"""
printf 'int f(void);\nint main(void) { return f(); }\n' > a.c; clang -fuse-ld=lld a.c -o a""")
case("mold-undefined", "build_failure", "build", r"""
printf 'int f(void);\nint main(void) { return f(); }\n' > a.c; clang -fuse-ld=mold a.c -o a""")
case("ld-multiple-definition", "build_failure", "build", r"""
echo 'int f(void) { return 0; }' > a.c; cp a.c b.c; echo 'int main(void) { return 0; }' > m.c; gcc a.c b.c m.c""")
case("ld-disk-full", "disk_full", "build", r"""
echo 'static char big[3000000] = {1}; int main(void) { return big[1]; }' > /tmp/source-b.c; gcc -c /tmp/source-b.c -o /tmp/source-b.o; gcc -static /tmp/source-b.o -o b; s=$?; rm -f /tmp/source-b.*; exit $s""", disk=512)
case("ghc-type-error", "build_failure", "build", r"""
printf 'main :: IO ()\nmain = putStrLn (1 + True)\n' > Main.hs; ghc Main.hs""")
case("go-compile-error", "build_failure", "build", r"""
printf 'module m\n\ngo 1.19\n' > go.mod; printf 'package main\n\nfunc main() { var x int = "timeout" }\n' > m.go; go build ./...""")
case("go-test-failure", "test_failure", "test", r"""
printf 'module m\n\ngo 1.19\n' > go.mod; printf 'package m\n\nimport "testing"\n\nfunc TestDial(t *testing.T) { t.Errorf("dial tcp 127.0.0.1:9: connect: connection refused") }\n' > m_test.go; go test ./...""")
case("go-lookup", "network", "build", r"""
printf 'module m\n\ngo 1.19\n\nrequire example.invalid/x v1.0.0\n' > go.mod; printf 'package main\n\nimport _ "example.invalid/x"\n\nfunc main() {}\n' > m.go; GOPROXY=https://proxy.invalid GONOSUMDB=* GOFLAGS= go mod download""")
case("javac-error", "build_failure", "build", r"""
printf 'class A {\n  String f() { return 1; }\n  void g() { h(); }\n}\n' > A.java; javac A.java""")
case("java-out-of-memory", "out_of_memory", "test", r"""
printf 'import java.util.*;\nclass A {\n  public static void main(String[] a) { List<byte[]> l = new ArrayList<>(); while (true) l.add(new byte[1 << 20]); }\n}\n' > A.java; javac A.java && java -Xmx16m A""")

# Build tools.
case("make-no-rule", "build_failure", "build", "printf 'all: missing.o\n' > Makefile; make")
case("make-segfault", "crash", "build", r"""
echo 'int main(void) { return *(volatile int *)0; }' > g.c; gcc -O0 g.c -o gen; printf 'all:\n\t./gen > table.h\n' > Makefile; make""")
case("make-abort", "crash", "test", r"""
printf '#include <assert.h>\nint main(void) { assert(1 + 1 == 3); }\n' > t.c; gcc t.c -o t; printf 'check:\n\t./t\n' > Makefile; make check""")
case("make-script-error", "build_failure", "build", r"""
printf 'all:\n\tpython3 gen.py\n' > Makefile; echo 'print({}["Connection refused"])' > gen.py; make""")
case("make-command-not-found", "missing_system_package", "build", r"""
printf 'all:\n\tnonesuch-generator --out x\n' > Makefile; make""")
case("make-parallel", "build_failure", "build", r"""
for i in 1 2 3 4; do echo "int f$i(void) { return $i; }" > f$i.c; done; echo 'int f3(void) { return oops; }' > f3.c
printf 'all: f1.o f2.o f3.o f4.o\n' > Makefile; make -j4 -k""")
case("make-mirror-then-error", "build_failure", "build", r"""
printf 'all: data a.o\ndata:\n\tcurl -sSfO http://mirror.invalid/data.tar || curl -sSfO http://127.0.0.1:9/data.tar || touch data\na.o: a.c data\n\tgcc -c a.c\n' > Makefile
echo 'int f(void) { return oops; }' > a.c; make""")
case("make-killed", "killed", "build", r"""printf 'all:\n\tkill -9 $$$$\n' > Makefile; make""")
case("make-terminated", "killed", "build", r"""printf 'all:\n\tkill -TERM $$$$; sleep 1\n' > Makefile; make""")
case("make-success-with-noise", "success", "build", r"""
printf 'all:\n\t-curl -sSf http://mirror.invalid/x\n\t-gcc -c missing.c\n\t@echo "0 errors, no space left on device handled"\n' > Makefile; make""")
case("make-survived-network", "build_failure", "build", r"""
cat > Makefile <<'E'
all:
	-curl -sSf http://mirror.invalid/cache
	@i=0; while [ $$i -lt 1500 ]; do echo "compiled unit $$i"; i=$$((i+1)); done
	@echo "the table is not sorted: entry 17"; exit 3
E
make""", lines=2000)
case("autoconf-enospc-check", "build_failure", "build", r"""
cat > configure.ac <<'E'
AC_INIT([demo],[1])
AC_PROG_CC
AC_CHECK_DECLS([ENOSPC, ETIMEDOUT, ECONNREFUSED],[],[],[[#include <errno.h>]])
AC_CHECK_FUNCS([getaddrinfo connect])
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
E
printf 'all:\n\t$(CC) -c a.c\nCC=@CC@\n' > Makefile.in; echo 'int f(void) { return oops; }' > a.c
autoconf -f 2>/dev/null; sed -i 's/whether ENOSPC is declared/for ENOSPC/' configure; ./configure && make""")
case("autoconf-missing-library", "missing_system_package", "build", r"""
cat > configure.ac <<'E'
AC_INIT([demo],[1])
AC_PROG_CC
AC_CHECK_LIB([nonesuch],[nonesuch_init],[],[AC_MSG_ERROR([library nonesuch is required but was not found])])
AC_OUTPUT
E
autoconf; ./configure""")
case("cmake-missing-package", "missing_system_package", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\nfind_package(Nonesuch REQUIRED)\n' > CMakeLists.txt; cmake -B b""")
case("cmake-missing-module", "missing_system_package", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\nfind_package(HDF5 REQUIRED)\n' > CMakeLists.txt; cmake -B b""")
case("cmake-optional-then-error", "build_failure", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\nfind_package(HDF5)\nfind_package(PkgConfig)\npkg_check_modules(N nonesuch)\nadd_library(a a.c)\n' > CMakeLists.txt; echo 'int f(void) { return oops; }' > a.c; cmake -B b && cmake --build b""")
case("cmake-download", "network", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d NONE)\ninclude(FetchContent)\nFetchContent_Declare(x URL https://files.invalid/x.tar.gz)\nFetchContent_MakeAvailable(x)\n' > CMakeLists.txt; cmake -B b""")
case("cmake-file-download", "network", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d NONE)\nfile(DOWNLOAD http://127.0.0.1:9/x ${CMAKE_BINARY_DIR}/x STATUS s)\nlist(GET s 0 c)\nlist(GET s 1 m)\nif(c)\n  message(FATAL_ERROR "download of x failed: ${m}")\nendif()\n' > CMakeLists.txt; cmake -B b""")
case("cmake-success-optional", "success", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\nfind_package(HDF5)\nadd_library(a a.c)\n' > CMakeLists.txt; echo 'int f(void) { return 0; }' > a.c; cmake -B b && cmake --build b""")
case("ctest-failure", "test_failure", "test", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d NONE)\nenable_testing()\nadd_test(good true)\nadd_test(network_timeout false)\n' > CMakeLists.txt; cmake -B b >/dev/null && ctest --test-dir b""")
case("ctest-timeout", "timeout", "test", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d NONE)\nenable_testing()\nadd_test(good true)\nadd_test(slow sleep 30)\nset_tests_properties(slow PROPERTIES TIMEOUT 1)\n' > CMakeLists.txt; cmake -B b >/dev/null && ctest --test-dir b""")
case("ctest-segfault", "crash", "test", r"""
echo 'int main(void) { return *(volatile int *)0; }' > s.c; printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\nenable_testing()\nadd_executable(s s.c)\nadd_test(s s)\n' > CMakeLists.txt; cmake -B b >/dev/null && cmake --build b >/dev/null && ctest --test-dir b""")
case("ninja-error", "build_failure", "build", r"""
printf 'rule cc\n  command = gcc -c $in -o $out\nbuild a.o: cc a.c\nbuild b.o: cc b.c\n' > build.ninja; echo 'int f(void) { return oops; }' > a.c; echo 'int g;' > b.c; ninja""")
case("ninja-missing-input", "build_failure", "build", r"""
printf 'rule cc\n  command = gcc -c $in -o $out\nbuild a.o: cc network.c\n' > build.ninja; ninja""")
case("ninja-tests-named-after-weather", "build_failure", "build", r"""
printf 'rule cc\n  command = gcc -c $in -o $out\n  description = CC $in (Connection refused: ETIMEDOUT)\nbuild a.o: cc ENOSPC.c\n' > build.ninja; echo 'int f(void) { return oops; }' > ENOSPC.c; ninja""")
case("meson-missing-dependency", "missing_system_package", "build", r"""
printf "project('d', 'c')\ndependency('nonesuch')\n" > meson.build; meson setup b""")
case("meson-test-failure", "test_failure", "test", r"""
printf "project('d')\ntest('io: No space left on device', find_program('false'))\n" > meson.build; meson setup b >/dev/null && meson test -C b""")
case("meson-test-timeout", "timeout", "test", r"""
printf "project('d')\ntest('slow', find_program('sleep'), args: ['20'], timeout: 1)\n" > meson.build; meson setup b >/dev/null && meson test -C b""")
case("dune-type-error", "build_failure", "build", r"""
echo '(lang dune 1.12)' > dune-project; echo '(executable (name a))' > dune; echo 'let () = print_string 3' > a.ml; dune build ./a.exe""")
case("dune-test-failure", "test_failure", "test", r"""
echo '(lang dune 1.12)' > dune-project; echo '(test (name a))' > dune; echo 'let () = failwith "Connection timed out"' > a.ml; dune test""")
case("opam-unknown-package", "no_solution", "solve", r"""
mkdir -p repo/packages; echo 'opam-version: "2.0"' > repo/repo; export OPAMROOT=$PWD/.opam; opam init -n --bare --disable-sandboxing ./repo >/dev/null 2>&1; opam switch create s --empty >/dev/null 2>&1; opam install -y --switch s nonesuch""")
case("opam-fetch", "network", "build", r"""
mkdir -p repo/packages/x/x.1; echo 'opam-version: "2.0"' > repo/repo
printf 'opam-version: "2.0"\nsynopsis: "x"\nmaintainer: "x@example.org"\nurl { src: "https://files.invalid/x-1.tar.gz" checksum: "md5=00000000000000000000000000000000" }\n' > repo/packages/x/x.1/opam
export OPAMROOT=$PWD/.opam; opam init -n --bare --disable-sandboxing ./repo >/dev/null 2>&1; opam switch create s --empty >/dev/null 2>&1; opam install -y --switch s x""")

# Package managers.
case("cargo-type-error", "build_failure", "build", "cargo init -q --name d . 2>/dev/null; echo 'fn main() { let network: u32 = \"reset by peer\"; }' > src/main.rs; cargo build --offline")
case("cargo-test-failure", "test_failure", "test", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '#[test]\nfn connection_refused() {\n    let e = std::io::Error::from_raw_os_error(111);\n    eprintln!("error: {e}");\n    assert_eq!(e.to_string(), "Connection refused");\n}\n#[test]\nfn good() {}\n' > src/lib.rs; cargo test --offline""")
case("cargo-test-segfault", "crash", "test", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '#[test]\nfn null() {\n    unsafe { std::ptr::null_mut::<i32>().write_volatile(1) }\n}\n' > src/lib.rs; cargo test --offline --release""")
case("cargo-test-stack-overflow", "crash", "test", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '#[allow(unconditional_recursion)]\nfn f(x: u64) -> u64 { std::hint::black_box(f(x + 1)) + 1 }\n#[test]\nfn deep() {\n    assert_eq!(f(0), 1);\n}\n' > src/lib.rs; cargo test --offline""")
case("cargo-no-solution", "no_solution", "solve", r"""
mkdir a b; cargo init -q --lib --name b b 2>/dev/null; cd a; cargo init -q --name a . 2>/dev/null; echo 'b = { path = "../b", version = "2" }' >> Cargo.toml; cargo build --offline""")
case("cargo-registry", "network", "build", r"""
cargo init -q --name d . 2>/dev/null; mkdir -p .cargo; printf '[registries.far]\nindex = "sparse+https://index.invalid/"\n[net]\nretry = 1\n' > .cargo/config.toml; printf 'x = { version = "1", registry = "far" }\n' >> Cargo.toml; cargo build""")
case("cargo-git", "network", "build", r"""
cargo init -q --name d . 2>/dev/null; echo 'x = { git = "https://git.invalid/x.git" }' >> Cargo.toml; CARGO_NET_RETRY=1 cargo build""")
case("cargo-doc", "doc_compile_failure", "doc", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '/// See [`Missing`].\npub fn f( {}\n' > src/lib.rs; cargo doc --offline""")
case("cargo-doc-link", "doc_link_failure", "doc", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '//! d\n#![deny(rustdoc::broken_intra_doc_links)]\n/// See [`Missing`].\npub fn f() {}\n' > src/lib.rs; cargo doc --offline""")
case("cargo-disk-full", "disk_full", "build", r"""
cargo init -q --name d . 2>/dev/null; seq 1 8 | while read i; do echo "pub static A$i: [u8; 60000] = [$i; 60000];" ; done > src/lib.rs; cargo build --offline""", disk=300)
case("cargo-build-script", "build_failure", "build", r"""
cargo init -q --name d . 2>/dev/null; echo 'fn main() { panic!("no ENOSPC in errno.h: ETIMEDOUT") }' > build.rs; cargo build --offline""")
case("cargo-build-script-killed", "killed", "build", r"""
cargo init -q --name d . 2>/dev/null; echo 'fn main() { std::process::Command::new("sh").args(["-c", "kill -9 $PPID"]).status().unwrap(); }' > build.rs; cargo build --offline""")
case("npm-lookup", "network", "build", r"""
echo '{"name":"d","version":"1.0.0","dependencies":{"x":"1"}}' > package.json; npm install --registry https://registry.invalid --fetch-retries 0""")
case("npm-refused", "network", "build", r"""
echo '{"name":"d","version":"1.0.0","dependencies":{"x":"1"}}' > package.json; npm install --registry http://127.0.0.1:9 --fetch-retries 0""")
case("npm-resolve", "no_solution", "solve", r"""
mkdir a b c; echo '{"name":"a","version":"1.0.0","peerDependencies":{"c":"2"}}' > a/package.json; echo '{"name":"c","version":"1.0.0"}' > c/package.json
echo '{"name":"d","version":"1.0.0","dependencies":{"a":"file:a","c":"file:c"}}' > package.json; npm install --offline --install-links""")
case("npm-script", "build_failure", "build", r"""
echo '{"name":"d","version":"1.0.0","scripts":{"build":"node build.js"}}' > package.json; echo 'throw new TypeError("ECONNREFUSED is not a function")' > build.js; npm run build""")
case("npm-missing-script", "build_failure", "build", r"""echo '{"name":"ETIMEDOUT","version":"1.0.0"}' > package.json; npm run build""")
case("npm-heap", "out_of_memory", "build", r"""
echo '{"name":"d","version":"1.0.0","scripts":{"build":"node --max-old-space-size=20 build.js"}}' > package.json; echo 'const a = []; for (;;) a.push(new Array(1000).fill(Math.random()))' > build.js; npm run build""")
case("node-test", "test_failure", "test", r"""
printf 'const test = require("node:test"); const assert = require("node:assert");\ntest("connects", () => { assert.strictEqual("ECONNREFUSED", "ok") });\ntest("good", () => {});\n' > t.js; node --test t.js""")
case("pip-lookup", "network", "build", "python3 -m venv --system-site-packages v; v/bin/pip install --index-url https://index.invalid/simple x")
case("pip-refused", "network", "build", "python3 -m venv v; v/bin/pip install --index-url http://127.0.0.1:9/simple x")
case("pip-no-version", "no_solution", "solve", "python3 -m venv v; v/bin/pip install --no-index 'x==9'")
WHEEL = r"""
cat > wheel.py <<'E'
import os, sys, zipfile
name, version, needs, size = sys.argv[1], sys.argv[2], sys.argv[3].split(), int(sys.argv[4])
with zipfile.ZipFile(f"/tmp/source-wheels/{name}-{version}-py3-none-any.whl", "w") as z:
    info = f"{name}-{version}.dist-info"
    z.writestr(f"{name}.py", os.urandom(size))
    z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {n}\n" for n in needs))
    z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(f"{info}/RECORD", "")
E
mkdir -p /tmp/source-wheels
"""
case("pip-conflict", "no_solution", "solve", WHEEL + r"""
python3 wheel.py a 1 b==1 9; python3 wheel.py b 1 '' 9; python3 wheel.py b 2 '' 9; python3 -m venv v; v/bin/pip install --no-index --find-links /tmp/source-wheels a b==2; s=$?; rm -r /tmp/source-wheels; exit $s""")
case("pip-disk-full", "disk_full", "build", WHEEL + r"""
python3 wheel.py a 1 '' 900000; python3 -m pip install --no-cache-dir --target t /tmp/source-wheels/a-1-py3-none-any.whl; s=$?; rm -r /tmp/source-wheels; exit $s""", disk=500)
case("pip-build-error", "build_failure", "build", r"""
python3 -m venv --system-site-packages v; printf 'from setuptools import setup, Extension\nsetup(name="x", version="1", ext_modules=[Extension("x", ["x.c"])])\n' > setup.py; echo 'int f(void) { return ETIMEDOUT; }' > x.c; v/bin/pip install --no-index --no-build-isolation . || python3 setup.py build_ext""")
case("pip-retry-then-error", "build_failure", "build", r"""
python3 -m venv v; v/bin/pip download --index-url http://127.0.0.1:9/simple x >/dev/null; printf 'int f(void) { return oops; }' > a.c; gcc -c a.c""")
case("apt-lookup", "network", "build", r"""
mkdir -p l/partial c/partial; echo 'deb [trusted=yes] http://deb.invalid/debian stable main' > s.list; O="-o Dir::Etc::SourceList=$PWD/s.list -o Dir::Etc::SourceParts=/none -o Dir::State::Lists=$PWD/l -o Dir::Cache=$PWD/c -o APT::Sandbox::User=root -o Acquire::Retries=0"
apt-get $O -o APT::Update::Error-Mode=any update""")
case("apt-refused", "network", "build", r"""
mkdir -p l/partial c/partial; echo 'deb [trusted=yes] http://127.0.0.1:9/debian stable main' > s.list; O="-o Dir::Etc::SourceList=$PWD/s.list -o Dir::Etc::SourceParts=/none -o Dir::State::Lists=$PWD/l -o Dir::Cache=$PWD/c -o APT::Sandbox::User=root -o Acquire::Retries=0"
apt-get $O -o APT::Update::Error-Mode=any update""")
case("apt-unknown", "missing_system_package", "build", "apt-get install -y nonesuch-dev")
case("apt-lock", "transient_failure", "build", r"""
mkdir -p d a/partial; touch d/lock; python3 - <<'E'
import fcntl, subprocess, os, sys
f = open("a/lock", "w"); fcntl.lockf(f, fcntl.LOCK_EX)
sys.stdout.flush()
sys.exit(subprocess.run(["apt-get", "-o", "Dir::Cache::Archives=" + os.getcwd() + "/a", "clean"]).returncode)
E""")

# Fetching and files.
case("git-lookup", "network", "solve", "git clone https://git.invalid/x.git")
case("git-refused", "network", "solve", "git clone http://127.0.0.1:9/x.git")
case("git-closed", "network", "build", r"""
python3 - <<'E'
import socket, subprocess, sys, threading
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5)
def serve():
    while True:
        c, _ = s.accept(); c.recv(100); c.close()
threading.Thread(target=serve, daemon=True).start()
sys.exit(subprocess.run(["git", "clone", f"git://127.0.0.1:{s.getsockname()[1]}/x.git"]).returncode)
E""")
case("git-unknown-branch", "build_failure", "build", "git init -q r; git -C r -c user.name=x -c user.email=x@example.org commit -q --allow-empty -m timeout; git clone -b connection-refused ./r c")
case("git-conflict", "build_failure", "build", r"""
git init -q -b main .; git config user.name x; git config user.email x@example.org; echo a > f; git add f; git commit -q -m a; git checkout -q -b o; echo b > f; git commit -q -am b; git checkout -q main; echo c > f; git commit -q -am 'no route to host'; git merge o""")
case("git-disk-full", "disk_full", "build", r"""
git init -q /tmp/source-r; head -c 400K /dev/urandom > /tmp/source-r/f; git -C /tmp/source-r add f; git -C /tmp/source-r -c user.name=x -c user.email=x@example.org commit -q -m big; git clone file:///tmp/source-r c; s=$?; rm -rf /tmp/source-r; exit $s""", disk=300)
case("curl-lookup", "network", "build", "curl -fLO https://files.invalid/x.tar.gz", plain=True)
case("curl-refused", "network", "build", "curl -fsSLO http://127.0.0.1:9/x.tar.gz")
case("curl-timeout", "network", "build", r"""
python3 - <<'E'
import socket, subprocess, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5)
sys.exit(subprocess.run(["curl", "-fsSL", "--max-time", "1", f"http://127.0.0.1:{s.getsockname()[1]}/x"]).returncode)
E""")
HTTP = r"""
import http.server, subprocess, sys, threading
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_error(%d)
    do_HEAD = do_GET
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), H)
threading.Thread(target=s.serve_forever, daemon=True).start()
sys.exit(subprocess.run([a.replace("PORT", str(s.server_port)) for a in %r]).returncode)
"""
case("curl-503", "network", "build", "python3 - <<'E'\n" + HTTP % (503, ["curl", "-fsSLO", "http://127.0.0.1:PORT/x.tar.gz"]) + "E")
case("curl-404", "build_failure", "build", "python3 - <<'E'\n" + HTTP % (404, ["curl", "-fsSLO", "http://127.0.0.1:PORT/x.tar.gz"]) + "E")
case("wget-503", "network", "build", "python3 - <<'E'\n" + HTTP % (503, ["wget", "-nv", "http://127.0.0.1:PORT/x.tar.gz"]) + "E")
case("wget-lookup", "network", "build", "wget -t 1 https://files.invalid/x.tar.gz")
case("wget-refused", "network", "build", "wget -nv -t 1 http://127.0.0.1:9/x.tar.gz")
case("python-urllib", "network", "build", "python3 -c \"import urllib.request; urllib.request.urlopen('http://files.invalid/x')\"")
case("tar-disk-full", "disk_full", "build", r"""
mkdir /tmp/source-t; head -c 900K /dev/urandom > /tmp/source-t/f; tar cf /tmp/source-t.tar -C /tmp source-t; tar xf /tmp/source-t.tar; s=$?; rm -rf /tmp/source-t /tmp/source-t.tar; exit $s""", disk=200)
case("tar-corrupt", "build_failure", "build", "head -c 3000 /dev/urandom > x.tar.gz; tar xzf x.tar.gz")
case("tar-missing", "build_failure", "build", "tar xf timeout.tar")
case("cp-disk-full", "disk_full", "build", "printf 'install:\n\tcp /bin/bash bash\n' > Makefile; make install", disk=200)
case("patch-failed", "build_failure", "build", r"""
seq 20 > f; printf -- '--- a/f\n+++ b/f\n@@ -3,3 +3,3 @@\n x\n-y\n+z\n w\n' > p; patch -p1 < p""")

# Tests.
case("pytest-failure", "test_failure", "test", r"""
printf 'import socket, pytest\ndef test_refused():\n    socket.create_connection(("127.0.0.1", 9))\ndef test_disk():\n    raise OSError(28, "No space left on device")\ndef test_good():\n    pass\n' > test_net.py; pytest -p no:cacheprovider test_net.py""")
case("pytest-import-error", "test_failure", "test", r"""printf 'import nonesuch\ndef test_x():\n    pass\n' > test_x.py; pytest -p no:cacheprovider""")
case("unittest-failure", "test_failure", "test", r"""
printf 'import unittest\nclass T(unittest.TestCase):\n    def test_timeout(self):\n        self.assertEqual("Connection timed out", "")\n    def test_memory(self):\n        raise MemoryError("out of memory")\n' > t.py; python3 -m unittest t""")
case("python-segfault", "crash", "test", "python3 -X faulthandler -c 'import ctypes; ctypes.string_at(0)'")
case("python-memory-killed", "out_of_memory", "test", "python3 -c 'x = [bytearray(1 << 20) for _ in range(400)]'; exit $?", memory=40)
case("python-memory-error", "out_of_memory", "build", "ulimit -v 200000; python3 -c 'x = bytearray(1 << 30)'")
case("tap-prove", "test_failure", "test", r"""mkdir t; printf 'print "1..2\\nok 1\\nnot ok 2 - No route to host\\n";' > t/a.t; prove t""")
case("ruby-minitest", "test_failure", "test", r"""printf 'require "minitest/autorun"\nclass T < Minitest::Test\n  def test_x\n    assert_equal "ECONNRESET", nil.to_s\n  end\nend\n' > t.rb; ruby t.rb""")
case("shell-test-mentions-weather", "test_failure", "test", r"""
cat > check.sh <<'E'
echo "test 1: write to a full disk"
echo "cp: error writing 'x': No space left on device"
echo "ok"
echo "test 2: server gone"
echo "curl: (7) Failed to connect to 127.0.0.1 port 9: Connection refused" | sed 's/^/  /'
echo "ok"
echo "test 3: sorts"
echo "FAIL: expected 1 2 3, got 1 3 2"
exit 1
E
printf 'check:\n\tsh check.sh\n' > Makefile; make check""")
case("automake-check", "test_failure", "test", r"""
printf 'AC_INIT([d],[1])\nAM_INIT_AUTOMAKE([foreign])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n' > configure.ac; printf 'TESTS = ok.sh net-timeout.sh\n' > Makefile.am; printf '#!/bin/sh\nexit 0\n' > ok.sh; printf '#!/bin/sh\necho Connection timed out\nexit 1\n' > net-timeout.sh; chmod +x *.sh; (autoreconf -fi && ./configure) >/dev/null 2>&1; make check""")

# Endings.
case("timeout-sleep", "timeout", "build", "echo configuring; echo 'error: nothing yet'; sleep 60", seconds=2)
case("timeout-command", "timeout", "test", "timeout -v 1 sleep 30")
case("signal-segv", "crash", "build", r"""echo 'int main(void) { return *(volatile int *)0; }' > s.c; gcc s.c -o s; echo running s; exec ./s""")
case("signal-kill", "killed", "build", "echo building; kill -9 $$")
case("signal-abort-bad-alloc", "out_of_memory", "test", r"""
printf '#include <vector>\nint main() { std::vector<std::vector<char>> v; for (;;) v.emplace_back(1 << 24, 1); }\n' > m.cc; g++ m.cc -o m; ulimit -v 300000; exec ./m""")
case("exit-silent", "build_failure", "build", "echo step one; echo step two; exit 3")
case("exit-139", "crash", "test", r"""echo 'int main(void) { return *(volatile int *)0; }' > s.c; gcc s.c -o s; ./s; exit $?""")
case("fork-limit", "transient_failure", "build", "printf 'all: a b c\na b c:\n\tsleep 1\n' > Makefile; chmod 777 . Makefile; exec setpriv --reuid 54321 --clear-groups bash -c 'ulimit -u 2; make -j3'")
case("open-files", "transient_failure", "build", r"""
for i in $(seq 40); do echo "int f$i;" > f$i.c; gcc -c f$i.c; done; ulimit -n 12; ld -r f*.o -o all.o; python3 -c "f = [open('f1.c') for _ in range(40)]" """)
case("text-busy", "transient_failure", "build", r"""
cp /bin/true t; exec 3>>t; printf 'all:\n\t./t\n' > Makefile; make""")
case("disk-quota-message", "build_failure", "build", r"""
printf 'all:\n\t@echo "warning: disk quota exceeded is not handled"; grep -n . notes.txt; false\n' > Makefile; echo 'errno 28: No space left on device' > notes.txt; make""")
case("success-cargo", "success", "build", "cargo init -q --lib --name out_of_memory . 2>/dev/null; cargo build --offline")
case("success-gcc-warnings", "success", "build", r"""printf 'int f() { int error; }\n' > a.c; gcc -Wall -c a.c; echo 'error: none'""")
case("success-tests-that-fail-on-purpose", "success", "test", r"""
printf 'import unittest\nclass T(unittest.TestCase):\n    @unittest.expectedFailure\n    def test_x(self):\n        self.fail("error: Connection refused")\n' > t.py; python3 -m unittest -v t""")

# Made after the rules were written, to see how they do on what they were not made for.
case("gcc-from-a-pipe", "build_failure", "build", r"""printf 'int f(void) { return ECONNRESET; }\n' | gcc -x c -c - -o x.o""")
case("as-error", "build_failure", "build", r"""printf '\tmovq %%rax\n\tnonesuch\n' > a.s; as a.s -o a.o""")
case("ar-missing", "build_failure", "build", r"""ar rcs lib.a refused.o""")
case("bison-error", "build_failure", "build", r"""printf '%%%%\nstart: X Y\n' > g.y; bison g.y""")
case("flex-error", "build_failure", "build", r"""printf '%%%%\n"abc\n' > l.l; flex l.l""")
case("perl-missing-module", "build_failure", "build", r"""printf 'use Nonesuch::Timeout;\n' > b.pl; perl b.pl""")
case("python-syntax", "build_failure", "build", r"""printf 'def f(:\n  pass\n' > s.py; python3 s.py""")
case("python-connection-in-build", "network", "build", r"""python3 -c "import socket; socket.create_connection(('127.0.0.1', 9))" """)
case("node-module", "build_failure", "build", r"""echo 'require("nonesuch")' > a.js; node a.js""")
case("node-connection", "network", "build", r"""echo 'require("http").get("http://127.0.0.1:9/x")' > a.js; node a.js""")
case("node-disk-full", "disk_full", "build", r"""echo 'require("fs").writeFileSync("x", Buffer.alloc(4e6))' > a.js; node a.js""", disk=300)
case("go-vet-missing", "build_failure", "build", r"""printf 'package main\n\nimport "nonesuch/dial"\n\nfunc main() { dial.X() }\n' > m.go; go build m.go""")
case("go-panic", "crash", "test", r"""printf 'package main\n\nfunc main() { var p *int; *p = 1 }\n' > m.go; go run m.go""")
case("go-disk-full", "disk_full", "build", r"""mkdir -p /tmp/source-go; printf 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(1) }\n' > /tmp/source-go/m.go; cd /tmp/source-go; O=$OLDPWD; GOCACHE=/tmp/source-go/c go build -o $O/m m.go; s=$?; rm -rf /tmp/source-go; exit $s""", disk=300)
case("rustc-undefined-link", "build_failure", "build", r"""printf 'extern "C" { fn nonesuch_refused(); }\nfn main() { unsafe { nonesuch_refused() } }\n' > a.rs; rustc a.rs""")
case("rustc-disk-full", "disk_full", "build", r"""printf 'fn main() { println!("x") }\n' > /tmp/source-a.rs; rustc /tmp/source-a.rs -o a; s=$?; rm /tmp/source-a.rs; exit $s""", disk=100)
case("cargo-memory", "out_of_memory", "build", r"""cargo init -q --name d . 2>/dev/null; cat > src/main.rs <<'E'
const fn f(n: u64) -> u64 { if n < 2 { n } else { f(n - 1) + f(n - 2) } }
static X: [u64; 60000000] = [7; 60000000];
fn main() { println!("{}", X[f(9) as usize]); }
E
cargo build --offline""", memory=120)
case("unzip-corrupt", "build_failure", "build", "head -c 3000 /dev/urandom > x.zip; unzip x.zip")
case("zstd-corrupt", "build_failure", "build", "head -c 3000 /dev/urandom > x.zst; zstd -d x.zst")
case("zstd-disk-full", "disk_full", "build", "head -c 600000 /dev/urandom | zstd -q > /tmp/source-z.zst; zstd -d /tmp/source-z.zst -o z; s=$?; rm /tmp/source-z.zst; exit $s", disk=300)
case("rsync-refused", "network", "build", "rsync rsync://127.0.0.1:9/x/ y/")
case("ssh-git", "network", "solve", "GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=2' git clone ssh://git.invalid/x.git")
case("dd-disk-full", "disk_full", "test", "printf 'image:\\n\\tdd if=/dev/zero of=image bs=64k count=100\\n' > Makefile; make", disk=300)
case("shell-redirect-disk-full", "disk_full", "build", "printf 'table.h:\\n\\tseq 200000 > table.h\\n' > Makefile; make", disk=300)
case("python-write-disk-full", "disk_full", "build", "python3 -c \"open('x', 'wb').write(bytes(4000000))\"", disk=300)
case("java-test-exception", "test_failure", "test", r"""printf 'class A {\n  public static void main(String[] a) { throw new IllegalStateException("Connection reset by peer"); }\n}\n' > A.java; javac A.java && java A""")
case("c-test-program", "test_failure", "test", r"""printf '#include <stdio.h>\nint main(void) { puts("test 1: Network is unreachable: ok"); puts("test 2: 3 != 4: failed"); return 1; }\n' > t.c; gcc t.c -o t; printf 'check:\n\t./t\n' > Makefile; make check""")
case("valgrind-error", "test_failure", "test", r"""printf '#include <stdlib.h>\nint main(void) { int *p = malloc(4); return p[1] = 0; }\n' > t.c; gcc -g t.c -o t; valgrind -q --error-exitcode=9 ./t""")
case("asan-error", "crash", "test", r"""printf '#include <stdlib.h>\nint main(int c, char **v) { int *p = malloc(4); free(p); return p[0] + c; }\n' > t.c; gcc -g -fsanitize=address t.c -o t; ./t""")
case("shellcheck-in-make", "build_failure", "build", r"""printf '#!/bin/sh\ncurl $URL || echo "Could not resolve host"\n' > f.sh; printf 'lint:\n\tshellcheck f.sh\n' > Makefile; make lint""")
case("doxygen-warnings", "doc_compile_failure", "doc", r"""printf 'INPUT = .\nQUIET = YES\nGENERATE_LATEX = NO\nWARN_AS_ERROR = YES\n' > Doxyfile; printf '/** @file */\n/** Sends. @param timeout x\n * @param network y */\nvoid f(int a);\n' > a.h; doxygen""")
case("python-pickle-of-error", "build_failure", "build", r"""printf 'import sys\nprint("retry: curl: (6) Could not resolve host", file=sys.stderr)\nraise KeyError("ENOSPC: no space left on device, write")\n' > g.py; python3 g.py""")
case("make-log-printed", "build_failure", "build", r"""printf 'all:\n\t@cat old.log; echo "generated 3 of 4 tables"; exit 1\n' > Makefile; printf 'log of yesterday\n| curl: (7) Failed to connect\n  > x: Connection refused\n' > old.log; make""")
case("cmake-try-compile-then-error", "build_failure", "build", r"""
printf 'cmake_minimum_required(VERSION 3.16)\nproject(d C)\ninclude(CheckSymbolExists)\ncheck_symbol_exists(ENOSPC errno.h HAVE_ENOSPC)\ncheck_symbol_exists(ETIMEDOUT nonesuch.h HAVE_ETIMEDOUT)\nmessage(STATUS "mirror: Connection timed out")\nadd_executable(a a.c)\n' > CMakeLists.txt; echo 'int main(void) { return oops; }' > a.c; cmake -B b && cmake --build b -- CFLAGS=-Werror""")
case("configure-no-compiler", "missing_system_package", "build", r"""
printf 'AC_INIT([d],[1])\nAC_PROG_CC([nonesuch-cc])\nAC_OUTPUT\n' > configure.ac; autoconf; ./configure""")
case("meson-missing-program", "missing_system_package", "build", r"""printf "project('d')\nfind_program('nonesuch-gen')\n" > meson.build; meson setup b""")
case("pip-missing-python-h", "missing_system_package", "build", r"""printf '#include <Pythonx.h>\n' > x.c; printf 'from setuptools import setup, Extension\nsetup(name="x", version="1", ext_modules=[Extension("x", ["x.c"])])\n' > setup.py; python3 setup.py build_ext""")
case("tests-wait-for-a-server", "test_failure", "test", r"""
cat > check.sh <<'E'
python3 -m http.server 18931 --bind 127.0.0.1 >/dev/null 2>&1 &
server=$!
until curl -sSfo page http://127.0.0.1:18931/; do sleep 0.1; done
kill -9 $server; wait $server
grep -c table page
E
bash check.sh""")
case("tests-stop-a-server", "test_failure", "test", r"""
cat > check.sh <<'E'
sleep 60 & server=$!
kill $server; wait $server
sleep 60 & server=$!
kill -9 $server; wait $server
echo "3 answers instead of 4"
exit 1
E
printf 'check:\n\tbash check.sh\n' > Makefile; make check""")
case("tests-compile-error", "build_failure", "test", r"""
cargo init -q --lib --name d . 2>/dev/null; printf '#[test]\nfn timed_out() {\n    assert!(oops());\n}\n' > src/lib.rs; cargo test --offline""")
case("tests-need-the-network", "test_failure", "test", r"""printf 'import urllib.request\ndef test_fetch():\n    urllib.request.urlopen("http://files.invalid/x")\n' > test_f.py; pytest -q -p no:cacheprovider""")
case("git-submodule-lookup", "network", "build", r"""
git init -q .; printf '[submodule "x"]\n\tpath = x\n\turl = https://git.invalid/x.git\n' > .gitmodules; git add .gitmodules; git update-index --add --cacheinfo 160000,1234567890123456789012345678901234567890,x; git -c user.name=x -c user.email=x@example.org commit -qm x; git submodule update --init""")
case("gem-lookup", "network", "build", "gem install --clear-sources -s https://gems.invalid/ x")
case("cabal-type-error", "build_failure", "build", r"""printf 'module Main where\nimport Network.Timeout.Nonesuch\nmain = pure ()\n' > Main.hs; ghc -v0 Main.hs""")
case("make-recursive-error", "build_failure", "build", r"""mkdir sub; printf 'all:\n\t$(MAKE) -C sub\n' > Makefile; printf 'all:\n\t@echo "checking for ECONNREFUSED... no"; echo "tables differ: Connection refused"; false\n' > sub/Makefile; make""")


if __name__ == "__main__":
    main()
