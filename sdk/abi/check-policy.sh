#!/usr/bin/env bash
# check-policy.sh OLD NEW         whether plugins built for OLD still load beside what NEW says, and why
# check-policy.sh --dump NEW      prints what NEW promises, to be kept as sdk/abi/matrixos-sdk-MAJOR.MINOR.contract
#
# OLD is a released contract (a file that --dump printed) or a folder of headers; NEW is a folder of headers, such as
# sdk/include. Prints a line for each difference and, last, one verdict:
#   clean     nothing that a compiled plugin can notice
#   allowed   grew at the tail of growing structs or by new names, and the minors say so
#   unraised  grew in an allowed way, but a minor was not raised
#   break     a plugin built for OLD would misread something: this takes a new major of that interface
# The rules stand in sdk/README.md, "Compatibility".
# Exit: 0 clean or allowed, 1 unraised or break, 2 wrong arguments or headers that do not compile, 77 clang, gcc or jq is
# missing (1 when CI=true).
set -euo pipefail

usage() {
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
}

for tool in clang gcc jq; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is not installed"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 77
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- what a folder of headers promises, as lines of tab-separated fields ---------------------------------------------
#   struct NAME frozen|growing SIZE HEADER       field STRUCT NUMBER NAME OFFSET TYPE
#   type NAME TYPE HEADER                        define NAME HEADER VALUE
dump() { # INCLUDE
  local include=$work/include headers record
  rm -rf "$include"
  mkdir -p "$include/matrixos/abi"
  cp "$1"/matrixos/abi/*.h "$include/matrixos/abi/"
  headers=$(cd "$include" && printf '#include <%s>\n' matrixos/abi/*.h)
  if grep -n 'draft' "$include"/matrixos/abi/*.h | grep -E '#include|/[0-9]+"' >&2; then
    echo "a stable header may not name a draft: move it to matrixos/abi/draft/, or its interface out of it" >&2
    return 2
  fi
  # The pins guard the headers themselves; here it is the change behind them that is judged.
  sed -E -i.pinned '/^MOS_PIN/d' "$include"/matrixos/abi/*.h

  # Types as the compiler understands them: without comments, spacing and the names of parameters.
  clang -std=c11 -fsyntax-only -I "$include" -x c -Xclang -ast-dump=json - <<<"$headers" >"$work/ast" || return 2
  jq -r '.inner[] | select(.name // "" | startswith("mos_")) |
    if .kind == "RecordDecl" and .completeDefinition then
      .name as $struct | ["struct", $struct],
      ([.inner[] | select(.kind == "FieldDecl")] | to_entries[] | ["field", $struct, .key, .value.name, .value.type.qualType])
    elif .kind == "TypedefDecl" and .type.qualType != "struct " + .name then ["type", .name, .type.qualType]
    else empty end | @tsv' "$work/ast" >"$work/types"
  {
    printf '%s\n#include <stdio.h>\nint main(void) {\n' "$headers"
    awk -F '\t' '
      $1 == "struct" { printf "printf(\"struct\\t%s\\t%%zu\\n\", sizeof(%s));\n", $2, $2 }
      $1 == "field" { printf "printf(\"field\\t%s\\t%s\\t%s\\t%%zu\\t%s\\n\", offsetof(%s, %s));\n", $2, $3, $4, $5, $2, $4 }
      $1 == "type" { printf "puts(\"type\\t%s\\t%s\");\n", $2, $3 }' "$work/types"
    echo 'return 0; }'
  } | gcc -std=c11 -I "$include" -x c -o "$work/layout" - || return 2

  "$work/layout" | while IFS=$'\t' read -r -a record; do
    case ${record[0]} in
    struct) printf 'struct\t%s\t%s\t%s\t%s\n' "${record[1]}" "$(kindOf "$include" "${record[1]}")" "${record[2]}" \
      "$(headerOf "$include" "^} ${record[1]};")" ;;
    field) printf '%s\t' "${record[@]}" | sed 's/\t$/\n/' ;;
    type) printf 'type\t%s\t%s\t%s\n' "${record[1]}" "${record[2]}" "$(headerOf "$include" "^typedef .*\b${record[1]}\b")" ;;
    esac
  done
  # Line markers (# 12 "file" …) tell which header a definition stands in.
  gcc -std=c11 -E -dD -I "$include" -x c - <<<"$headers" | awk '
    /^# [0-9]+ "/ { ours = $3 ~ /matrixos\/abi\//; n = split($3, part, "/"); header = part[n]; sub(/"$/, "", header); next }
    ours && /^#define MOS_/ {
      name = $2; sub(/\(.*/, "", name)
      value = $0; sub(/^#define MOS_[A-Z0-9_a-z]*/, "", value); sub(/^ /, "", value)
      printf "define\t%s\t%s\t%s\n", name, header, value
    }'
}

headerOf() { # INCLUDE PATTERN
  basename "$(grep -lE "$2" "$1"/matrixos/abi/*.h | head -n 1)"
}

# A struct is frozen when a pin holds its size, and grows when it says how long it is.
kindOf() { # INCLUDE STRUCT
  if grep -qE "^MOS_PIN_SIZE\($2," "$1"/matrixos/abi/*.pinned; then
    echo frozen
  elif grep -qE $'^field\t'"$2"$'\t0\tstruct_size\t' "$work/types"; then
    echo growing
  else
    echo frozen
  fi
}

if [ "${1:-}" = --dump ]; then
  [ $# = 2 ] || usage
  dump "$2"
  exit
fi
[ $# = 2 ] || usage
if [ -d "$1" ]; then dump "$1" >"$work/old"; else cp "$1" "$work/old"; fi
dump "$2" >"$work/new"

# ---- the judgement ---------------------------------------------------------------------------------------------------
awk -F '\t' -v major='a new major of that interface, beside the old one' '
  function grown(header, what, struct, minor) {
    print "grows: " what
    needs["MOS_HOST_MINOR"] = 1 # the SDK is versioned by it
    minor = minorOf(struct, header)
    if (minor != "") needs[minor] = 1
    growth = 1
  }
  function broken(what, why) {
    print "break: " what ": " why
    breaks = 1
  }
  function isRaised(minor) { return !(minor in oldDefine) || newDefine[minor] + 0 > oldDefine[minor] + 0 }
  # The minor of the interface that a name belongs to: its own table first, else one of its header.
  function minorOf(struct, header, word, name, found) {
    if (struct ~ /_v[0-9]+$/) {
      word = toupper(struct)
      sub(/_V/, "_", word)
      if ((word "_MINOR") in newDefine) return word "_MINOR"
    }
    for (name in newDefine) {
      if (name !~ /_[0-9]+_MINOR$/ || newHeader[name] != header) continue
      if (isRaised(name)) return name
      found = name
    }
    return found
  }
  # The functions of a service, described: it tells nothing that its table, judged by itself, does not.
  function isList(name) { return name ~ /^MOS_FUNCTIONS_OF_/ }
  function isMinor(name) { return name == "MOS_HOST_MINOR" || name ~ /^MOS_.*_[0-9]+_MINOR$/ }

  FNR == NR && $1 == "struct" { oldKind[$2] = $3; oldSize[$2] = $4; next }
  FNR == NR && $1 == "field" { oldField[$2, $3] = $4; oldType[$2, $3] = $6; oldCount[$2] = $3 + 1; oldName[$2, $4] = 1; next }
  FNR == NR && $1 == "type" { oldAlias[$2] = $3; next }
  FNR == NR && $1 == "define" { oldDefine[$2] = $4; next }
  $1 == "struct" { newKind[$2] = $3; newSize[$2] = $4; where[$2] = $5; next }
  $1 == "field" { newField[$2, $3] = $4; newType[$2, $3] = $6; newAt[$2, $3] = $5; newCount[$2] = $3 + 1; newName[$2, $4] = 1; next }
  $1 == "type" { newAlias[$2] = $3; where[$2] = $4; next }
  $1 == "define" { newDefine[$2] = $4; newHeader[$2] = $3; next }

  function compareStruct(s, i, first, label) {
    if (newKind[s] != oldKind[s]) broken(s, "was " oldKind[s] " and cannot become " newKind[s])
    for (i = 0; i < oldCount[s]; i++) {
      label = s "." oldField[s, i]
      if (newField[s, i] == oldField[s, i]) {
        if (newType[s, i] != oldType[s, i])
          broken(label, "changed from \"" oldType[s, i] "\" to \"" newType[s, i] "\"; it takes " major)
        continue
      }
      # The first difference explains those that follow from it.
      if (!((s, oldField[s, i]) in newName)) {
        if (newCount[s] == oldCount[s] && newType[s, i] == oldType[s, i])
          broken(label, "was renamed to \"" newField[s, i] "\"; sources stop compiling")
        else broken(label, "was removed; leave the slot where it is and answer MOS_UNIMPLEMENTED")
      } else if (!((s, newField[s, i]) in oldName))
        broken(s "." newField[s, i], "was inserted before \"" oldField[s, i] "\"; append it at the end")
      else broken(label, "changed places with \"" newField[s, i] "\"")
      return
    }
    for (; i < newCount[s]; i++) {
      label = s "." newField[s, i]
      if (oldKind[s] == "frozen") broken(label, "was appended to a frozen struct; it takes " major)
      else if (newAt[s, i] + 0 < oldSize[s] + 0)
        broken(label, "lies in what was padding, so struct_size cannot tell whether it is there; pad before it")
      else grown(where[s], label " is appended at offset " newAt[s, i], s)
    }
  }

  END {
    for (s in oldKind) {
      if (s in newKind) compareStruct(s)
      else broken(s, "was removed; old majors stay as long as sdk/README.md says")
    }
    for (s in newKind) if (!(s in oldKind)) grown(where[s], "the struct " s " is new", s)
    for (t in oldAlias) {
      if (!(t in newAlias)) broken(t, "was removed")
      else if (newAlias[t] != oldAlias[t]) broken(t, "changed from \"" oldAlias[t] "\" to \"" newAlias[t] "\"")
    }
    for (t in newAlias) if (!(t in oldAlias)) grown(where[t], "the type " t " is new", t)
    for (d in oldDefine) {
      if (!(d in newDefine)) broken(d, "was removed; plugins in the field still use its value")
      else if (newDefine[d] == oldDefine[d]) continue
      else if (isMinor(d) && newDefine[d] + 0 > oldDefine[d] + 0) { print "raised: " d " from " oldDefine[d] " to " newDefine[d]; growth = 1 }
      else if (isList(d) && index(newDefine[d], oldDefine[d]) == 1) grown(newHeader[d], "the list " d " is longer", "")
      else broken(d, "changed from " oldDefine[d] " to " newDefine[d] "; give the new value a new name")
    }
    for (d in newDefine) if (!(d in oldDefine) && !isMinor(d)) grown(isList(d) ? "" : newHeader[d], "the constant " d " is new", "")
    for (m in needs) {
      if (isRaised(m)) continue
      print "unraised: " m " is still " newDefine[m] "; what grew needs " oldDefine[m] + 1
      unraised = 1
    }
    verdict = breaks ? "break" : unraised ? "unraised" : growth ? "allowed" : "clean"
    print "verdict: " verdict
    exit breaks || unraised
  }' "$work/old" "$work/new"
