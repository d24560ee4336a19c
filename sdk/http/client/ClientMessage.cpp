#include "ClientMessage.h"

#include "../codec/Grammar.h"

namespace matrixos::http {

std::optional<std::string_view> ClientResponse::find(std::string_view name) const {
  for (const ClientField &field : fields) {
    if (sameText(field.name, name)) return field.value;
  }
  return std::nullopt;
}

} // namespace matrixos::http
