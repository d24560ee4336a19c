# Text that troff takes for nothing else: dashes stay dashes, no line is a request, and all is ASCII.
function plain(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  gsub(/…/, "\\|.\\|.\\|.", text)
  return text ~ /^[.']/ ? "\\&" text : text
}
