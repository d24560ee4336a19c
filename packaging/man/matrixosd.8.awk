# matrixosd(8), made of what `matrixosd --help` says: awk -v version=0.1.0 -f plain.awk -f matrixosd.8.awk
function section(name) { print ".SH " name }
BEGIN {
  print ".TH MATRIXOSD 8 \"\" \"matrixosd " plain(version) "\" \"Matrix OS Platform\""
  section("NAME")
  print "matrixosd \\- the daemon of the Matrix OS Platform"
}
/^usage: / {
  section("SYNOPSIS")
  sub(/^usage: matrixosd /, "")
  print ".B matrixosd\n" plain($0)
  section("DESCRIPTION")
  next
}
/^-/ {
  if (!options++) section("OPTIONS")
  sub(/ +$/, "")
  print ".TP\n.B " plain($0)
  next
}
/^Signals: / {
  section("SIGNALS AND EXIT STATUS")
}
NF {
  sub(/^ +/, "")
  print plain($0)
}
END {
  section("FILES")
  print ".TP\n.B /etc/matrixos/matrixosd.ini\nThe configuration, where no other is given with \\-\\-config."
  print ".TP\n.B /var/lib/matrixos\nDatabase, secret and sockets, unless [platform] data_dir names another place."
  section("SEE ALSO")
  print ".BR matrixosctl (1),\n.BR matrixosd.ini (5)"
}
