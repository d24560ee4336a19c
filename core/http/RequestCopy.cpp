#include "http/RequestCopy.h"

#include <http/codec/Grammar.h>

#include <algorithm>

namespace matrixos::api {

RequestCopy::RequestCopy(const http::RequestHead &from) : head_(from) {
  // The method comes first in the buffer and the last field's value last; everything else lies between them.
  const char *first = from.method.data();
  const char *last = first + from.method.size();
  const auto cover = [&](std::string_view span) { last = std::max(last, span.data() + span.size()); };
  for (const http::Field &field : from.fields)
    cover(field.value);
  if (from.target.data() > first && from.fields.size() == 0) cover(from.target);
  text_.assign(first, last);
  const auto move = [&](std::string_view &span) {
    const bool inside = !span.empty() && span.data() >= first && span.data() + span.size() <= last;
    if (inside) span = std::string_view(text_).substr(static_cast<std::size_t>(span.data() - first), span.size());
  };
  move(head_.method);
  move(head_.target);
  move(head_.host);
  for (http::Field &field : head_.fields) {
    move(field.name);
    move(field.value);
  }
}

std::string_view RequestCopy::query() const {
  const std::size_t mark = head_.target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : head_.target.substr(mark + 1);
}

std::optional<std::string_view> RequestCopy::find(std::string_view name) const {
  for (const http::Field &field : head_.fields) {
    if (http::sameText(field.name, name)) return field.value;
  }
  return std::nullopt;
}

} // namespace matrixos::api
