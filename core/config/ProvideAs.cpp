#include "config/ProvideAs.h"

namespace matrixos::config {

std::optional<ProvideAs> ProvideAs::parse(std::string_view item) {
  const std::size_t colon = item.find(':'), equals = item.find('=');
  if (colon == std::string_view::npos || equals == std::string_view::npos || equals < colon) return {};
  ProvideAs as{std::string(item.substr(0, colon)), std::string(item.substr(colon + 1, equals - colon - 1)),
               std::string(item.substr(equals + 1))};
  const bool named = as.instance.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (as.plugin.empty() || as.service.empty() || as.instance.empty() || !named) return {};
  return as;
}

std::string ProvideAs::instanceOf(const Config &config, const std::string &plugin, const std::string &service) {
  for (const std::string &item : config.getList("plugins", "provide_as")) {
    const auto as = parse(item);
    if (as && as->plugin == plugin && as->service == service) return as->instance;
  }
  return {};
}

} // namespace matrixos::config
