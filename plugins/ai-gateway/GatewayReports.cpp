#include "GatewaySession.h"

#include <matrixos/text/hex.hpp>

#include <algorithm>
#include <utility>
#include <vector>

/// Routes that wait for the disk, such as those that tell what calls cost: another thread answers them.
namespace matrixos::gateway {

namespace {

constexpr std::chrono::seconds kPatience{30};
/// More rows are fetched from the API, which sends them as they come.
constexpr std::size_t kMostCsv = 64U << 20U;
constexpr const char *kTooManyRows = "that is more than fits into one answer; ask for a shorter time with since";

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hexValue(text[i + 1]) : -1, low = escape ? hexValue(text[i + 2]) : -1;
    const bool hex = high >= 0 && low >= 0;
    out += hex ? static_cast<char>(high * 16 + low) : text[i];
    if (hex) i += 2;
  }
  return out;
}

/// The parameters of a request, which has ended by the time they are asked for.
class Parameters {
public:
  explicit Parameters(std::string_view target) {
    const std::size_t mark = target.find('?');
    std::string_view rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    while (!rest.empty()) {
      const std::string_view item = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      const std::size_t equals = std::min(item.find('='), item.size());
      items_.emplace_back(decoded(item.substr(0, equals)), decoded(item.substr(std::min(equals + 1, item.size()))));
    }
  }
  std::optional<std::string_view> operator()(std::string_view name) const {
    for (const auto &[key, value] : items_)
      if (key == name) return value;
    return std::nullopt;
  }

private:
  std::vector<std::pair<std::string, std::string>> items_;
};

struct Question {
  Route route;
  std::string handle;
  std::string instanceId; ///< of who asks about himself
  std::string body;
  Parameters query;
};

http::LocalResponse csvOf(const Reports &reports, const Question &asked) {
  http::LocalResponse out{200, "text/csv; charset=utf-8", {}, {}};
  reports.csv(asked.handle, asked.route == Route::UsageDaily, asked.query, [&](std::string_view piece) {
    if (out.body.size() + piece.size() > kMostCsv) throw Error(Status::InvalidArgument, kTooManyRows);
    out.body += piece;
  });
  return out;
}

http::LocalResponse answerTo(const Reports &reports, const Question &asked) {
  const auto json = [](std::string text) { return http::LocalResponse{200, "application/json", std::move(text), {}}; };
  if (asked.route == Route::UsageMe) return json(reports.own(asked.instanceId, asked.handle));
  if (asked.route == Route::Quota) return json(reports.setQuota(asked.handle, asked.body));
  if (reports.wantsCsv(asked.query)) return csvOf(reports, asked);
  if (asked.route == Route::UsageSummary) return json(reports.summary());
  if (asked.route == Route::UsageDaily) return json(reports.daily(asked.handle, asked.query));
  return json(reports.user(asked.handle, asked.query));
}

http::LocalResponse tryAnswer(const std::function<http::LocalResponse()> &task, const std::string &requestId) {
  const auto error = [&](int status, const char *message) {
    return http::LocalResponse{status, "application/json", errorJson(errorType(status), message, requestId), {}};
  };
  try {
    return task();
  } catch (const Error &e) {
    if (e.status() == Status::InvalidArgument) return error(400, e.what());
    if (e.status() == Status::NotFound) return error(404, e.what());
    if (e.status() == Status::AlreadyExists) return error(409, e.what());
    return error(503, e.what());
  } catch (const std::exception &) {
    return error(500, "the answer cannot be made");
  }
}

} // namespace

void GatewaySession::report(http::ClientExchange &exchange) {
  const bool own = match_.route == Route::UsageMe;
  Question asked{match_.route, own ? owner_->handle : std::string(match_.handle), own ? owner_->id : std::string(),
                 body_, Parameters(exchange.request().target)};
  later(exchange, [&reports = shared_.to.reports, asked = std::move(asked)] { return answerTo(reports, asked); });
}

void GatewaySession::later(http::ClientExchange &exchange, std::function<http::LocalResponse()> task) {
  const std::uint64_t ticket = exchange.hold(kPatience);
  try {
    shared_.to.work([task = std::move(task), loop = exchange.loop().weak_from_this(), ticket, id = requestId_] {
      http::LocalResponse response = tryAnswer(task, id);
      if (const auto living = loop.lock())
        living->resume(ticket, [response = std::move(response)](http::ClientExchange &held) mutable {
          held.respond(std::move(response)); // which may be large
        });
    });
  } catch (const Error &) {
    refuse(exchange, {529, "overloaded_error", "too many questions at a time; try again", {{"retry-after", "1"}}});
  }
}

} // namespace matrixos::gateway
