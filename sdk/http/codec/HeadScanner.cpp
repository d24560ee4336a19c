#include "HeadScanner.h"

#include "Grammar.h"

#include <cstring>

namespace matrixos::http {

HeadScanner::Result HeadScanner::scan(std::string_view data, std::size_t maxBytes, std::size_t maxFirstLine) noexcept {
  while (at_ < data.size()) {
    const auto *feed = static_cast<const char *>(std::memchr(data.data() + at_, '\n', data.size() - at_));
    if (feed == nullptr) {
      at_ = static_cast<std::uint32_t>(data.size());
      break;
    }
    const auto index = static_cast<std::size_t>(feed - data.data());
    if (index == lineStart_ || data[index - 1] != '\r') return Result::BareLineFeed;
    if (lineStart_ == 0 && index - 1 > maxFirstLine) return Result::FirstLineTooLong;
    if (index + 1 > maxBytes) return Result::TooLong;
    const bool empty = index - 1 == lineStart_;
    at_ = lineStart_ = static_cast<std::uint32_t>(index + 1);
    if (empty) {
      size_ = at_;
      return Result::Complete;
    }
  }
  // One more byte than the line may have is the carriage return.
  if (lineStart_ == 0 && data.size() > maxFirstLine + 1) return Result::FirstLineTooLong;
  if (data.size() >= maxBytes) return Result::TooLong;
  return Result::NeedMore;
}

const char *parseFields(std::string_view text, std::size_t maxFields, FieldList &out) {
  while (!text.empty()) {
    const std::size_t end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    if (line.empty()) return "an empty line among the fields";
    if (line.front() == ' ' || line.front() == '\t') return "a folded header line";
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return "a header line without a colon";
    Field field{line.substr(0, colon), trim(line.substr(colon + 1))};
    field.id = findName(field.name);
    // The known names are tokens, but for what follows a prefix.
    const bool known = field.id != Name::Other && field.id != Name::XForwardedOther;
    if (!known && !isToken(field.name)) return "a header name with a character that is not allowed there";
    // A carriage return that is not followed by a line feed is caught here too.
    if (!isFieldValue(field.value)) return "a control character in a header value";
    if (out.size() >= maxFields) return "too many header fields";
    field.dropped = field.id == Name::Other && imitatesKnownName(field.name);
    field.verbatim = line.size() == colon + 2 + field.value.size() && line[colon + 1] == ' ';
    out.add(field);
  }
  return nullptr;
}

bool parseLength(std::string_view text, std::uint64_t &out) noexcept {
  if (text.size() > 18 || !isDigits(text)) return false;
  out = 0;
  for (const char c : text)
    out = out * 10 + static_cast<std::uint64_t>(c - '0');
  return true;
}

bool parseConnection(const FieldList &fields, ConnectionOptions &out) noexcept {
  constexpr int kMostOptions = 32; // each one is looked up among all fields later
  int options = 0;
  bool valid = true;
  for (const Field &field : fields) {
    if (field.id != Name::Connection) continue;
    forEachListItem(field.value, [&](std::string_view option) {
      ++options;
      if (!isToken(option)) valid = false;
      if (sameText(option, "close"))
        out.close = true;
      else if (sameText(option, "keep-alive"))
        out.keepAlive = true;
      else if (sameText(option, "upgrade"))
        out.upgrade = true;
    });
  }
  return valid && options <= kMostOptions;
}

const char *parseFraming(const FieldList &fields, int minorVersion, BodyFraming &out) noexcept {
  const Field *coding = nullptr;
  const Field *length = nullptr;
  for (const Field &field : fields) {
    if (field.id == Name::TransferEncoding) {
      if (coding != nullptr) return "more than one Transfer-Encoding";
      coding = &field;
    } else if (field.id == Name::ContentLength) {
      if (length != nullptr) return "more than one Content-Length";
      length = &field;
    }
  }
  if (coding != nullptr) {
    if (length != nullptr) return "both Content-Length and Transfer-Encoding";
    if (minorVersion == 0) return "Transfer-Encoding in HTTP/1.0";
    if (!sameText(coding->value, "chunked")) return "a Transfer-Encoding other than chunked";
    out.kind = BodyKind::Chunked;
  } else if (length != nullptr) {
    if (!parseLength(length->value, out.length)) return "a Content-Length that is no number";
    out.kind = BodyKind::Length;
  }
  return nullptr;
}

} // namespace matrixos::http
