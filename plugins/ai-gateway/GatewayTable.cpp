#include "GatewayTable.h"

namespace matrixos::gateway {

void GatewayTable::each(const std::function<void(const std::string &handle, const std::string &gatewayUrl,
                                                 std::int64_t atMs)> &gateway) const {
  sql_.query("SELECT handle, url, at FROM ai_gateway_registered", {},
             [&](const SqlRow &row) { gateway(row.text(0), row.text(1), row.integer(2)); });
}

void GatewayTable::put(std::string_view handle, std::string_view gatewayUrl, std::int64_t atMs) const {
  sql_.execBatch({{"INSERT INTO ai_gateway_registered (handle, url, at) VALUES (?, ?, ?) ON CONFLICT (handle) DO "
                   "UPDATE SET url = excluded.url, at = excluded.at",
                   {handle, gatewayUrl, atMs}}});
}

void GatewayTable::remove(std::string_view handle) const {
  sql_.execBatch({{"DELETE FROM ai_gateway_registered WHERE handle = ?", {handle}}});
}

} // namespace matrixos::gateway
