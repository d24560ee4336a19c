# A manual page around what a program's --help says: awk -v name=… -v about=… -v version=… -f plain.awk -f help.1.awk
BEGIN {
  print ".TH " toupper(plain(name)) " 1 \"\" \"" plain(name) " " plain(version) "\" \"Matrix OS Platform\""
  print ".SH NAME\n" plain(name) " \\- " plain(about) "\n.SH DESCRIPTION\n.nf"
}
{ print plain($0) }
END { print ".fi" }
