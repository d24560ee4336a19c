#!/usr/bin/env bash
# steps.sh PAGE: prints a Bash script that does what the page tells its reader, in order and as it is written there.
#
#   ```bash              each block is run, until a command fails
#   ```LANGUAGE FILE     the block becomes that file
#   ```console           lines after "# " are typed into one shell (a backslash at the end continues them), and what they
#                        print has to be the lines below; … is anything within a line, on a line of its own any lines
#
# The script says before each step which line of the page it is, as "== line 12".
set -euo pipefail
page=$1

cat <<'PRELUDE'
set -euo pipefail
shopt -s expand_aliases
said=$(mktemp) expected=$(mktemp)
# Runs the command on standard input in this very shell, so that aliases, jobs and variables stay.
typed() {
  local command status
  command=$(cat)
  echo "# $command"
  set +euo pipefail # as a terminal has it
  eval "$command" >"$said" 2>&1 </dev/null
  status=$?
  set -euo pipefail
  cat "$said"
  [ $status = 0 ] || { echo "That ended with exit code $status."; exit 1; }
}
# Compares what it said with standard input. Blanks in a row count as one: columns are as wide as what is in them.
answered() {
  cat >"$expected"
  perl -CSD -0777 -e '
    sub text { open my $in, "<", $_[0] or die; local $_ = <$in> // ""; s/[ \t]+/ /g; s/ $//mg; $_ }
    my ($said, $pattern) = (text($ARGV[0]), "");
    $said .= "\n" if $said ne "" && $said !~ /\n\z/;
    for my $line (split /\n/, text($ARGV[1])) {
      $pattern .= $line eq "\x{2026}" ? "(?:.*\n)*" : join("[^\n]*", map quotemeta, split(/\x{2026}/, $line, -1)) . "\n";
    }
    exit($said !~ /\A$pattern\z/)' "$said" "$expected" || { echo "The page says:"; cat "$expected"; exit 1; }
}
PRELUDE

awk '
  function finish() {
    if (command == "") return
    printf "echo \"== line %d\"\ntyped <<\"END_OF_COMMAND\"\n%s\nEND_OF_COMMAND\n", begun, command
    printf "answered <<\"END_OF_ANSWER\"\n%sEND_OF_ANSWER\n", answer
    command = answer = ""
  }
  /^```/ && inside { finish(); if (file != "") print "END_OF_FILE"; inside = 0; next }
  /^```/ {
    inside = 1
    language = substr($1, 4)
    file = $2
    if (file != "") printf "echo \"== %s\"\ncat >%s <<\"END_OF_FILE\"\n", file, file
    # What a line prints stands below it; a reader of the log wants to know which one failed.
    if (file == "" && language == "bash") printf "echo \"== line %d\"\n", NR + 1
    next
  }
  !inside { next }
  file != "" || language == "bash" { print; next }
  language != "console" { next }
  continued { command = command "\n" $0; continued = /\\$/; next }
  /^# / { finish(); command = substr($0, 3); begun = NR; continued = /\\$/; next }
  { answer = answer $0 "\n" }' "$page"
