#!/bin/sh
# Writes release.h as redis's own script does, for a source tree without a repository, too.
set -eu
commit=$(git show-ref --head --hash=8 2> /dev/null | head -n 1) || true
cat > "$1" << END
#define REDIS_GIT_SHA1 "${commit:-00000000}"
#define REDIS_GIT_DIRTY "0"
#define REDIS_BUILD_ID "larder"
END
