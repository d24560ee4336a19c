# matrixosd.ini(5), made of etc/matrixosd.ini, which tests hold against what core and plugins declare:
# awk -v version=0.1.0 -f plain.awk -f matrixosd.ini.5.awk etc/matrixosd.ini
BEGIN {
  print ".TH MATRIXOSD.INI 5 \"\" \"matrixosd " plain(version) "\" \"Matrix OS Platform\""
  print ".SH NAME\nmatrixosd.ini \\- configuration of matrixosd\n.SH DESCRIPTION"
}
/^;/ {
  sub(/^; ?/, "")
  kind = $0
  comment = comment (comment == "" ? "" : "\n") plain($0)
  next
}
/^\[/ {
  print ".SH " plain(toupper($0)) "\n" comment
  comment = ""
  next
}
/=/ {
  sub(/ *=.*/, "")
  sub(/\n[^\n]*$/, "", comment) # its last line says type, range and default
  print ".TP\n.B " plain($0) "\n" comment "\n.br\n\\fI" plain(kind) "\\fR"
  comment = ""
  next
}
comment != "" {
  print comment
  comment = ""
}
END {
  print ".SH SEE ALSO\n.BR matrixosd (8),\n.BR matrixosctl (1)"
}
