#!/usr/bin/env bash
# check-includes.sh [TREE]: every #include of core/, plugins/ and sdk/ is one that LAYOUT.md allows, in its block
# may-include. Prints those that are not, and those folders that the block says nothing about.
set -euo pipefail
cd "${1:-$(dirname "$0")/../../..}"

# What stands in angle brackets is looked for where the build looks: sdk/include and sdk/. A header of the system is
# found in neither.
files=$(mktemp)
trap 'rm -f "$files"' EXIT
find core plugins sdk -regex '.*\.\(c\|h\|cpp\|hpp\)' | sort >"$files"
xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' <"$files" | awk -v layout=LAYOUT.md -v files="$files" '
  BEGIN {
    while ((getline line <layout) > 0) {
      if (line ~ /^```/) { inside = line == "```may-include"; continue }
      if (!inside) continue
      n = split(line, word, / +/)
      rules[word[1]] = 1
      for (i = 2; i <= n; i++) allowed[word[1], i - 1] = word[i]
      count[word[1]] = n - 1
    }
    while ((getline line <files) > 0) exists[line] = 1
    if (!length(rules)) { print layout " has no block may-include"; failed = 1; exit }
  }

  function parent(path) { return path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : "" }
  # The rule of a folder: the longest that is it or lies above it; a * stands for the last part of a name.
  function ruleOf(folder) {
    for (; folder != ""; folder = parent(folder)) {
      if (folder in rules) return folder
      if ((parent(folder) "/*") in rules) return parent(folder) "/*"
    }
    return ""
  }
  # Where a rule with a * is at home: the folder whose last part the * stands for.
  function homeOf(folder, rule) {
    if (rule !~ /\*$/) return rule
    while (parent(folder) "/*" != rule) folder = parent(folder)
    return folder
  }
  function below(path, folder) { return index(path "/", folder "/") == 1 }
  function normal(path) {
    while (sub(/[^\/]+\/\.\.\//, "", path)) {}
    return path
  }
  function found(name, quoted, from, i, try) {
    if (quoted && (normal(from "/" name) in exists)) return normal(from "/" name)
    split("core plugins sdk/include sdk sdk/conformance", root, " ")
    for (i = 1; i <= 5; i++) if ((root[i] "/" name) in exists) return root[i] "/" name
    return ""
  }
  {
    split($0, part, ":")
    file = part[1]
    folder = parent(file)
    match($0, /["<][^">]*/)
    target = found(substr($0, RSTART + 1, RLENGTH - 1), substr($0, RSTART, 1) == "\"", folder)
    if (target == "") next
    rule = ruleOf(folder)
    if (rule == "") { if (!told[folder]++) { print "LAYOUT.md says nothing about " folder; failed = 1 } next }
    home = homeOf(folder, rule)
    into = parent(target)
    ok = homeOf(into, ruleOf(into)) == home
    for (i = 1; i <= count[rule] && !ok; i++) ok = below(into, allowed[rule, i])
    if (!ok) { print file ":" part[2] ": " home " may not include " target; failed = 1 }
  }
  END { exit failed }'
