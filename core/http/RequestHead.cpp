#include "http/RequestHead.h"

namespace matrixos::api {

namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool isTokenChar(char c) noexcept {
  if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
  return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

} // namespace

bool equalsIgnoreCase(std::string_view left, std::string_view right) noexcept {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (lower(left[i]) != lower(right[i])) return false;
  }
  return true;
}

bool isToken(std::string_view text) noexcept {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!isTokenChar(c)) return false;
  }
  return true;
}

bool isFieldValue(std::string_view text) noexcept {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) return false;
  }
  return true;
}

std::optional<std::string_view> RequestHead::find(std::string_view name) const {
  for (const Field &field : fields) {
    if (equalsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::vector<std::string_view> RequestHead::findAll(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field &field : fields) {
    if (equalsIgnoreCase(field.name, name)) values.emplace_back(field.value);
  }
  return values;
}

std::string_view RequestHead::path() const {
  const std::string_view all = target;
  return all.substr(0, all.find('?'));
}

std::string_view RequestHead::query() const {
  const std::string_view all = target;
  const std::size_t mark = all.find('?');
  return mark == std::string_view::npos ? std::string_view{} : all.substr(mark + 1);
}

} // namespace matrixos::api
