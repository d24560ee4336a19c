#!/usr/bin/env bash
# check-seeds.sh SDK_DIR BASELINE WORK_DIR
#
# Shows that every kind of change to the contract is judged as sdk/README.md promises: applies each to a copy of the
# headers, asks sdk/abi/check-policy.sh, and compares its verdict and its reason. Whatever is not clean must also be
# seen by check-types.sh (abidiff) or check-defines.sh, and what is clean by neither. BASELINE is the released version's
# path without .abi and .defines.
# Exit: 0 as promised, 1 not, 77 a tool is missing (1 when CI=true).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
sdk=$1
baseline=$2
work=$3

if ! command -v abidiff >/dev/null || ! command -v clang >/dev/null || ! command -v jq >/dev/null; then
  echo "abidiff, clang or jq is not installed (packages abigail-tools, clang, jq)"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 77
fi
rm -rf "$work"
mkdir -p "$work"

# change NAME HEADER SED [HEADER SED]…: a folder of headers so changed.
change() {
  local name=$1 folder=$work/$1 header
  shift
  mkdir -p "$folder"
  cp -r "$sdk/include" "$folder/"
  while [ $# -gt 0 ]; do
    header=$folder/include/matrixos/abi/$1
    mkdir -p "$(dirname "$header")"
    touch "$header"
    cp "$header" "$folder/before"
    sed -E -i "$2" "$header"
    [ -s "$header" ] || sed -E "$2" <<<'' >"$header"
    if cmp -s "$header" "$folder/before"; then
      echo "FAILED $name: its sed changes nothing in $1; the headers have moved on, the seed has to follow"
      return 1
    fi
    shift 2
  done
}

# judge NAME OLD VERDICT REASON
judge() {
  local folder=$work/$1 seen=no
  "$sdk/abi/check-policy.sh" "$2" "$folder/include" >"$folder/report" 2>&1 || true
  if [ "$(tail -n 1 "$folder/report")" != "verdict: $3" ] || ! grep -qE "$4" "$folder/report"; then
    echo "FAILED $1: expected the verdict $3 and a line like '$4', got:"
    cat "$folder/report"
    return 1
  fi
  # Past the pins, which would stop the compiler before abidiff saw anything.
  sed -i '/^MOS_PIN/d' "$folder"/include/matrixos/abi/*.h
  "$here/check-types.sh" "$folder/include" "$baseline.abi" "$folder/canary" >"$folder/types" 2>&1 || seen=yes
  "$here/check-defines.sh" "$folder/include" "$baseline.defines" >"$folder/defines" 2>&1 || seen=yes
  # Renaming a pin's macro aside, the golden list and abidiff see all but the policy's own words.
  if { [ "$3" = clean ] && [ $seen = yes ]; } || { [ "$3" != clean ] && [ $seen = no ]; }; then
    echo "FAILED $1: the policy says $3, abidiff and the golden list say changed=$seen:"
    cat "$folder/types" "$folder/defines"
    return 1
  fi
  echo "ok $3: $1"
}

# seed NAME VERDICT REASON HEADER SED…: REASON is a pattern for a line of the policy's report. The seeds are independent
# of each other and judged side by side.
seed() {
  local name=$1 verdict=$2 reason=$3
  shift 3
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do sleep 0.02; done
  { change "$name" "$@" && judge "$name" "$baseline.contract" "$verdict" "$reason"; } || touch "$work/failed" &
  total=$((total + 1))
}

total=0
raiseHost='s/(MOS_HOST_MINOR) 1/\1 2/'
raiseRuntime='s/(MOS_RUNTIME_1_MINOR) 1/\1 2/'
appendResize='/^\} mos_runtime_v1;/i mos_status (*resize)(void *self, const mos_call *call, mos_str ref, mos_error *error);'

# What nobody compiled can notice.
seed comment clean '^verdict' runtime.h 's/Creates, does not start\./Creates it, starts nothing./'
seed spacing clean '^verdict' base.h 's/^  uint64_t len;/  uint64_t   len ;/'
seed parameter-name clean '^verdict' runtime.h 's/mos_str spec_json/mos_str spec/'
seed draft-interface clean '^verdict' draft/quota.h '1i #define MOS_QUOTA_DRAFT_1 "matrixos.quota.draft/1"\ntypedef struct mos_quota_draft_v1 { unsigned struct_size; } mos_quota_draft_v1;'

# Growth, with the minors that tell of it.
seed append-function allowed 'mos_runtime_v1.resize is appended at offset 168' runtime.h "$appendResize
  $raiseRuntime" base.h "$raiseHost"
seed append-field allowed 'mos_call.tenant is appended at offset 64' base.h "/^\} mos_call;/i mos_str tenant;
  $raiseHost"
seed new-struct allowed 'the struct mos_quota is new' host.h '/^MOS_END_C/i typedef struct mos_quota {\n  uint64_t bytes;\n} mos_quota;' base.h "$raiseHost"
seed new-constant allowed 'the constant MOS_LOG_TRACE is new' host.h '/^#define MOS_LOG_DEBUG/a #define MOS_LOG_TRACE 5' base.h "$raiseHost"
seed new-major allowed 'the struct mos_runtime_v2 is new' runtime.h '/^MOS_END_C/i #define MOS_RUNTIME_2 "matrixos.runtime/2"\n#define MOS_RUNTIME_2_MINOR 0\ntypedef struct mos_runtime_v2 {\n  uint32_t struct_size;\n  uint32_t minor;\n} mos_runtime_v2;' base.h "$raiseHost"
seed longer-list allowed 'the list MOS_FUNCTIONS_OF_RUNTIME_1 is longer' runtime.h "$appendResize
  /mos_runtime_v1, volume_remove_if_empty,/,/\)\)\$/s/\(const mos_call \*, mos_str\)\)\$/& F(2, mos_runtime_v1, resize, \"cs\", 0, 2, (const mos_call *, mos_str))/
  $raiseRuntime" base.h "$raiseHost"
seed raised-minor allowed 'MOS_RUNTIME_1_MINOR from 1 to 2' runtime.h "$raiseRuntime" base.h "$raiseHost"

# Growth that nobody is told of.
seed append-unraised unraised 'MOS_RUNTIME_1_MINOR is still 1' runtime.h "$appendResize" base.h "$raiseHost"
seed append-sdk-unraised unraised 'MOS_HOST_MINOR is still 1' runtime.h "$appendResize
  $raiseRuntime"
seed new-constant-unraised unraised 'MOS_HOST_MINOR is still 1' host.h '/^#define MOS_LOG_DEBUG/a #define MOS_LOG_TRACE 5'

# Breaks. Raising a minor excuses none of them.
seed append-frozen break 'mos_str.hash: was appended to a frozen' base.h "/^\} mos_str;/i uint64_t hash;
  $raiseHost"
seed reorder break 'mos_runtime_v1.start: changed places with "stop"' runtime.h '/^  mos_status \(\*start\)/{h;d}; /^  mos_status \(\*stop\)/G'
seed retype break 'mos_call.cancel_fd: changed from "int32_t" to "uint32_t"' base.h 's/^  int32_t cancel_fd;/  uint32_t cancel_fd;/'
seed widen break 'mos_provide.minor: changed from "uint32_t" to "uint64_t"' plugin.h '/^typedef struct mos_provide/,/^\}/s/uint32_t minor/uint64_t minor/'
seed remove-field break 'mos_runtime_v1.unpause: was removed' runtime.h '/^  mos_status \(\*unpause\)/d'
seed rename-field break 'mos_runtime_v1.inspect: was renamed to "describe"' runtime.h 's/^(  mos_status \(\*)inspect\)/\1describe)/'
seed insert-middle break 'mos_runtime_v1.restart: was inserted before "stop"' runtime.h '/Asks it to end, kills/i mos_status (*restart)(void *self, const mos_call *call, mos_str ref, mos_error *error);'
seed parameter-type break 'mos_runtime_v1.stop: changed from .*int64_t.* to .*int32_t' runtime.h 's/int64_t grace_ms/int32_t grace_ms/'
seed parameter-added break 'mos_runtime_v1.start: changed from' runtime.h 's/(\*start\)\(void \*self,)/\1 uint32_t flags,/'
seed return-type break 'mos_host_log_v1.write: changed from' host.h 's/^  void (\(\*write\))/  mos_status \1/'
seed entry-signature break 'mos_plugin_entry_fn: changed from' plugin.h 's/(mos_plugin_entry_fn\)\()void/\1uint32_t host_major/'
seed alias break 'mos_status: changed from "int32_t" to "int64_t"' base.h 's/^typedef int32_t mos_status/typedef int64_t mos_status/'
seed change-list break 'MOS_FUNCTIONS_OF_RUNTIME_1: changed from' runtime.h 's/(F\(3, mos_runtime_v1, create, )"cjb"/\1"csb"/'
seed change-constant break 'MOS_ABORTED: changed from 10 to 18' base.h 's/(define MOS_ABORTED) 10/\1 18/'
seed change-id break 'MOS_RUNTIME_1: changed from' runtime.h 's|"matrixos.runtime/1"|"matrixos.engine/1"|'
seed change-size break 'mos_error.message: changed from "char\[452\]"' base.h 's/(define MOS_MESSAGE_SIZE) 452/\1 460/'
seed remove-constant break 'MOS_DATA_LOSS: was removed' base.h '/define MOS_DATA_LOSS/d'
seed remove-struct break 'mos_sql_rows: was removed' host.h '/^typedef struct mos_sql_rows/,/^\}/d; s/mos_sql_rows rows/mos_sink rows/'
seed lower-minor break 'MOS_HOST_MINOR: changed from 1 to 0' base.h 's/(MOS_HOST_MINOR) 1/\1 0/'
seed new-abi-major break 'MOS_ABI_MAJOR: changed from 1 to 2' base.h 's/(MOS_ABI_MAJOR) 1/\1 2/'
seed promise-growth break 'mos_error: was frozen and cannot become growing' base.h '/^typedef struct mos_error/a uint32_t struct_size;
  /^MOS_PIN_SIZE\(mos_error/d'

# Four bytes at the end that struct_size cannot tell from the padding before them.
change padded-before base.h '/^\} mos_call;/i uint32_t priority;'
change padded-append base.h '/^\} mos_call;/i uint32_t priority;\nuint32_t weight;'
judge padded-append "$work/padded-before/include" break 'mos_call.weight: lies in what was padding' || touch "$work/failed"

wait
if [ -e "$work/failed" ]; then exit 1; fi
echo "$((total + 1)) changes judged as promised"
