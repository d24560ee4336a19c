#include "Section.h"

#include "BuiltInPrices.h"
#include "ledger/UsdText.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace matrixos::gateway {

namespace {

constexpr const char *kUsualPrices = "/etc/matrixos/prices.json";

/// Throws Error that names it.
std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Status::NotFound, path + ": the file cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Nothing for an empty text. Throws Error(InvalidArgument).
std::optional<Money> parseUsd(const std::string &text) {
  if (text.empty()) return std::nullopt;
  const auto amount = usdOf(text);
  if (!amount) throw Error(Status::InvalidArgument, "\"" + text + "\" is no amount of dollars; write one like 12.50");
  return amount;
}

std::shared_ptr<const KeyList> readKeys(const Config &config) {
  const Secret many = config.secret("api_keys");
  const Secret one = config.secret("api_key");
  return std::make_shared<const KeyList>(many.empty() ? one.reveal() : many.reveal());
}

/// Of the file that is named, else of the operator's own, else those that came with the plugin. Throws matrixos::Error
/// that names the file.
std::shared_ptr<const PriceTable> readPrices(const Config &config) {
  std::string path = config.getString("prices");
  if (path.empty() && std::filesystem::exists(kUsualPrices)) path = kUsualPrices;
  if (path.empty()) return PriceTable::parse(builtInPrices());
  const std::string text = readFile(path);
  try {
    return PriceTable::parse(text);
  } catch (const Error &error) {
    throw Error(error.status(), path + ": " + error.what());
  }
}

std::optional<AllowList> readAllowed(std::vector<std::string> names) {
  if (names.empty()) return std::nullopt;
  return AllowList(std::move(names));
}

} // namespace

ListenEntry parseListen(std::string_view text) {
  constexpr std::string_view kWord = "host-gateway:";
  if (text.substr(0, kWord.size()) != kWord) return {Address::parse(text), false};
  return {Address::parse("127.0.0.1:" + std::string(text.substr(kWord.size()))), true};
}

GatewayOptions readOptions(const Config &config, Secret adminSecret) {
  GatewayOptions out;
  out.upstreams = config.getList("upstream");
  out.caFile = config.getString("upstream_ca_file");
  if (!out.caFile.empty()) out.caPem = readFile(out.caFile);
  out.keys = readKeys(config);
  out.adminSecret = std::move(adminSecret);
  out.prices = readPrices(config);
  out.rules.worstCase = config.getString("hold") == "worst-case";
  out.rules.serverTools = readAllowed(config.getList("server_tools"));
  out.rules.betas = readAllowed(config.getList("betas"));
  out.refuseUnknownModel = config.getString("unknown_model") == "refuse";
  out.ownKeys = config.getBool("own_keys");
  out.maxBody = static_cast<std::uint64_t>(config.getInt("max_body"));
  out.rates.requestsPerMinute = static_cast<std::uint64_t>(config.getInt("requests_per_minute"));
  out.rates.tokensPerMinute = static_cast<std::uint64_t>(config.getInt("tokens_per_minute"));
  out.rates.concurrent = static_cast<std::uint64_t>(config.getInt("concurrent_requests"));
  out.drain = config.getDuration("drain");
  out.drainBytes = static_cast<std::uint64_t>(config.getInt("drain_bytes"));
  out.passed = config.getList("routes");
  out.accessLog = config.getBool("access_log");

  http::ServerOptions &server = out.server;
  server.threadName = "ai-gateway";
  server.loops = static_cast<unsigned>(config.getInt("loops"));
  server.peerConnections = 1024;
  server.idleUpstreams = 1024; // a kept connection saves a TLS handshake, which costs more than the call
  server.shedIdle = true;
  server.maxBody = out.maxBody;
  server.minBodyRate = server.minReadRate = 256;
  server.timeouts.connect = config.getDuration("connect_timeout");
  server.timeouts.firstByte = config.getDuration("first_byte_timeout");
  // Most that close their side have left, and what is written to them tells; until then it is as with the rest.
  server.timeouts.halfClosed = std::max(out.drain, std::chrono::milliseconds{1'000});
  server.timeouts.responseBody = config.getDuration("response_timeout");
  return out;
}

Ledger::Settings readLimits(const Config &config) {
  Ledger::Settings out;
  out.perUser = {parseUsd(config.getString("daily_limit_usd")), parseUsd(config.getString("monthly_limit_usd"))};
  out.global = {parseUsd(config.getString("global_daily_limit_usd")),
                parseUsd(config.getString("global_monthly_limit_usd"))};
  out.retention = config.getDuration("usage_retention");
  return out;
}

void checkSection(const Config &config, Problems &problems) {
  const auto attempt = [&](const char *key, auto &&read) {
    try {
      read();
    } catch (const std::exception &error) {
      problems.add(key, error.what());
    }
  };
  for (const std::string &address : config.getList("listen"))
    attempt("listen", [&] { parseListen(address); });
  for (const char *key : {"daily_limit_usd", "monthly_limit_usd", "global_daily_limit_usd", "global_monthly_limit_usd"})
    attempt(key, [&] { parseUsd(config.getString(key)); });
  attempt("prices", [&] { readPrices(config); });
  attempt("upstream_ca_file",
          [&] { http::TlsClientContext::create({.systemRoots = true, .file = config.getString("upstream_ca_file")}); });
  const auto upstreams = config.getList("upstream");
  if (upstreams.empty()) problems.add("upstream", "is empty; name the server that calls go to");
  for (const std::string &url : upstreams)
    if (url.find('?') != std::string::npos) problems.add("upstream", "has a query; write the URL without it");
  for (const std::string &path : config.getList("routes")) {
    if (path.compare(0, 4, "/v1/") != 0)
      problems.add("routes", "\"" + path + "\" is not below /v1/; write one like /v1/files");
    if (path.compare(0, 20, "/v1/messages/batches") == 0 || path == "/v1/messages")
      problems.add("routes", "\"" + path + "\" costs money that would not be counted; leave it out");
  }
  if (!config.secret("api_key").empty() && !config.secret("api_keys").empty())
    problems.add("api_key", "is set beside api_keys; leave one of them out");
  const auto keys = readKeys(config);
  for (std::size_t i = 0; i < keys->size(); ++i)
    if (!std::all_of(keys->at(i).begin(), keys->at(i).end(), [](char c) { return c > ' ' && c < 127; }))
      problems.add("api_keys",
                   "has blanks or odd characters in key " + std::to_string(i + 1) + "; write one key a line");
  if (keys->empty() && !config.getBool("own_keys"))
    problems.add("api_keys", "is empty, and own_keys is false: nobody could call; set api_keys_file");
}

} // namespace matrixos::gateway
