#!/usr/bin/env bash
# steps.sh runs what a page says and sees where the page is wrong.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# runs NAME: the page on standard input.
runs() {
  cat >page.md
  "$here/steps.sh" page.md >steps.sh
  bash steps.sh >"$1.log" 2>&1
}
right() { runs right || { echo "refused:" && cat page.md right.log; exit 1; }; }
# wrong LINE: it is seen there.
wrong() {
  ! runs wrong || { echo "let pass:" && cat page.md; exit 1; }
  [ "$(grep '^== ' wrong.log | tail -n 1)" = "== line $1" ] || { echo "not at line $1:" && cat page.md wrong.log; exit 1; }
}

right <<'PAGE'
Not run: exit 1
```bash
cd /tmp && cd - >/dev/null
```
```ini a.ini
[a]
# b
```
```console
# cat a.ini | head -n 1
[a]
# alias three='printf "one 1\ntwo   2\nthree"'
# three
one …
…
three
# three | \
    head -n 2
one 1
two 2
# false; yes | head -n 1
y
# sleep 0 &
# wait %sleep && echo "…"
…
# printf 'a.b\n'
a.b
```
```text
exit 1
```
PAGE
for answer in '' 'one' 'one two' 'onestwo' $'one\ntwo' $'one\n…\ntwo' '.*' 'o…e'; do
  wrong 2 <<<$'```console\n# echo one. two\n'"$answer"$'\n```'
done
# What is not shown must not be there.
wrong 3 <<<$'```console\n# true\n# echo\n# true\n```'
wrong 2 <<<$'```console\n# exit_with() { return $1; }; exit_with 3\n```'
wrong 2 <<<$'```bash\nfalse\n```'
echo "steps.sh sees what is wrong"
