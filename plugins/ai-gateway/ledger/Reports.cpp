#include "Reports.h"

#include "UsdText.h"

#include <matrixos/json.hpp>
#include <matrixos/json_member.hpp>
#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace matrixos::gateway {

namespace {

constexpr int kMostGroups = 1000;
constexpr int kMostDays = 400;
constexpr int kPage = 1000;
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

std::string limitText(const std::optional<Money> &limit) {
  return limit ? usdText(*limit) : "null";
}

std::string limitsJson(const Limits &limits) {
  JsonObject object;
  object.addRaw("dailyLimitUsd", limitText(limits.daily)).addRaw("monthlyLimitUsd", limitText(limits.monthly));
  return std::move(object).str();
}

JsonObject &addSpend(JsonObject &object, const Spend &spend) {
  return object.addRaw("dailyUsd", usdText(spend.day))
      .addRaw("monthlyUsd", usdText(spend.month))
      .addRaw("heldUsd", usdText(spend.held));
}

JsonObject standingJson(const Standing &standing, std::string_view userId) {
  JsonObject object, resets;
  object.add("userId", userId);
  addSpend(object, standing.spend).addRaw("limits", limitsJson(standing.limits));
  resets.add("daily", formatTimeSeconds(standing.dayEndsMs)).add("monthly", formatTimeSeconds(standing.monthEndsMs));
  object.addRaw("resetsAt", std::move(resets).str());
  return object;
}

JsonObject sumsJson(const char *key, const CallSums &sums) {
  JsonObject row;
  row.add(key, sums.key)
      .add("requests", sums.requests)
      .add("partial", sums.partial)
      .add("inputTokens", sums.input)
      .add("outputTokens", sums.output)
      .add("cacheReadTokens", sums.cacheRead)
      .add("cacheWrite5mTokens", sums.cacheWrite5m)
      .add("cacheWrite1hTokens", sums.cacheWrite1h)
      .addRaw("costUsd", usdText(sums.cost));
  return row;
}

std::string sumsJson(const char *key, const std::vector<CallSums> &all) {
  JsonArray rows;
  for (const CallSums &sums : all)
    rows.add(sumsJson(key, sums).str());
  return std::move(rows).str();
}

/// Spreadsheets run what begins like a formula, and a session is what the caller says.
std::string csvField(const std::string &text) {
  const bool isFormula = !text.empty() && std::string_view("=+-@\t").find(text.front()) != std::string_view::npos;
  std::string field = isFormula ? "\"'" : "\"";
  for (const char c : text)
    field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + '"';
}

std::string csvLine(const CallRow &row) {
  const TokenCounts &tokens = row.tokens;
  std::string line = formatTime(row.atMs);
  for (const std::string *text : {&row.handle, &row.instance, &row.model, &row.session})
    line += ',' + csvField(*text);
  for (const std::uint32_t count :
       {tokens.input, tokens.output, tokens.cacheRead, tokens.cacheWrite5m, tokens.cacheWrite1h, tokens.webSearches})
    line += ',' + std::to_string(count);
  return line + ',' + usdText(row.cost) + (row.partial ? ",true\r\n" : ",false\r\n");
}

Error badParameter(const std::string &name, const char *what) {
  return Error(Status::InvalidArgument, "\"" + name + "\" has to be " + what, "BAD_PARAMETER");
}

std::string text(const Reports::Query &query, const char *name) {
  return std::string(query(name).value_or(""));
}

/// A day, as the ms of its beginning.
std::int64_t dayParam(const Reports::Query &query, const char *name, std::int64_t otherwise) {
  const std::string day = text(query, name);
  if (day.empty()) return otherwise;
  const auto begin = parseTime(day + "T00:00:00Z");
  if (!begin || *begin < 0) throw badParameter(name, "a day, like 2026-11-30");
  return *begin;
}

/// A time, a day, or how long ago: "90m", "24h", "7d".
std::int64_t sinceParam(const Reports::Query &query, std::int64_t nowMs, std::int64_t otherwise) {
  const std::string since = text(query, "since");
  if (since.empty()) return otherwise;
  for (const std::string &time : {since, since + "T00:00:00Z"}) {
    if (const auto ms = parseTime(time)) return *ms;
  }
  const std::size_t unit = std::string_view("smhd").find(since.back());
  if (unit == std::string_view::npos)
    throw badParameter("since", "a time, like 2026-11-23T15:04:05Z, a day, or like 24h or 7d");
  constexpr std::int64_t kUnits[] = {1000, 60'000, 3'600'000, 86'400'000};
  return nowMs - parameterNumber("since", std::string_view(since).substr(0, since.size() - 1), 100'000) * kUnits[unit];
}

/// A limit in a body: a number that is not negative, also as a text, or null, or "none"; nothing where it is missing.
std::optional<std::optional<Money>> limitOf(std::string_view body, const char *name) {
  const auto member = findMember(body, name);
  if (!member) return std::nullopt;
  if (*member == "null" || *member == R"("none")") return std::optional<Money>();
  const bool isText = member->size() > 2 && member->front() == '"';
  const auto limit = usdOf(isText ? member->substr(1, member->size() - 2) : *member);
  if (!limit) throw json::badField(name, "null or a number of dollars from 0 to 9000000, with at most 12 places");
  return limit;
}

std::string dayText(std::int64_t day) {
  return formatTime(day * kDayMs).substr(0, 10);
}

/// With a row for each day from the first to the last, also without calls.
std::vector<CallSums> filledUp(std::vector<CallSums> some, std::int64_t first, std::int64_t last) {
  std::vector<CallSums> all;
  auto next = some.begin();
  for (std::int64_t day = first; day <= last; ++day) {
    CallSums sums;
    sums.key = dayText(day);
    if (next != some.end() && next->key == sums.key) sums = std::move(*next++);
    all.push_back(std::move(sums));
  }
  // The clock may have been ahead.
  all.insert(all.end(), std::make_move_iterator(next), std::make_move_iterator(some.end()));
  return all;
}

} // namespace

Reports::Person Reports::personOf(std::string_view userId) const {
  if (auto id = findInstance_(userId)) return {*std::move(id), std::string(userId)};
  // An instance that has gone is found by its id.
  if (auto handle = ledger_.store().handleOf(userId)) return {std::string(userId), *std::move(handle)};
  throw Error(Status::NotFound, "there is no instance \"" + std::string(userId) + "\"", "NO_INSTANCE");
}

CallRange Reports::range(const Person *person, const Query &query) const {
  const Standing standing = ledger_.standingOf("");
  return {person == nullptr ? "" : person->id,
          sinceParam(query, ledger_.nowMs(), Period::of(standing.dayEndsMs - 1).monthBegin * kDayMs), kForever};
}

CallRange Reports::days(const Person &person, const Query &query) const {
  const std::int64_t today = ledger_.standingOf("").dayEndsMs - kDayMs;
  const std::int64_t to = dayParam(query, "to", today), from = dayParam(query, "from", to - 29 * kDayMs);
  if (from > to || to - from >= kMostDays * kDayMs) throw badParameter("from", "at most 400 days before \"to\"");
  return {person.id, from, to + kDayMs};
}

std::string Reports::own(std::string_view instanceId, std::string_view handle) const {
  return standingJson(ledger_.standingOf(instanceId), handle).str();
}

std::string Reports::own(std::string_view userId) const {
  const Person person = personOf(userId);
  return own(person.id, person.handle);
}

std::string Reports::user(std::string_view userId, const Query &query) const {
  const Person person = personOf(userId);
  ledger_.flush();
  const CallRange which = range(&person, query);
  JsonObject answer = standingJson(ledger_.standingOf(person.id), person.handle);
  answer.addRaw("byModel", sumsJson("model", ledger_.store().sums(which, CallStore::By::Model, kMostGroups)))
      .addRaw("bySession", sumsJson("session", ledger_.store().sums(which, CallStore::By::Session, kMostGroups)));
  if (text(query, "table") == "true") addTable(answer, &person, query);
  return std::move(answer).str();
}

std::string Reports::summary() const {
  JsonArray users;
  for (const Standing &standing : ledger_.everybody()) {
    JsonObject user;
    user.add("userId", standing.handle).add("instanceId", standing.instanceId);
    addSpend(user, standing.spend).addRaw("limits", limitsJson(standing.limits));
    users.add(std::move(user).str());
  }
  JsonObject total, answer;
  addSpend(total, ledger_.total());
  answer.addRaw("users", std::move(users).str()).addRaw("total", std::move(total).str());
  return std::move(answer).str();
}

std::string Reports::daily(std::string_view userId, const Query &query) const {
  const Person person = personOf(userId);
  ledger_.flush();
  return sumsJson("date", ledger_.store().sums(days(person, query), CallStore::By::Day, kMostDays));
}

std::string Reports::table(const Query &query) const {
  JsonObject answer;
  addTable(answer, nullptr, query);
  return std::move(answer).str();
}

void Reports::addTable(JsonObject &answer, const Person *person, const Query &query) const {
  static constexpr std::pair<const char *, CallStore::By> kWays[] = {{"user", CallStore::By::User},
                                                                     {"model", CallStore::By::Model},
                                                                     {"session", CallStore::By::Session},
                                                                     {"day", CallStore::By::Day}};
  const std::string by = text(query, "by").empty() ? person != nullptr ? "model" : "user" : text(query, "by");
  const auto *const way =
      std::find_if(std::begin(kWays), std::end(kWays), [&](const auto &w) { return by == w.first; });
  if (way == std::end(kWays)) throw badParameter("by", "user, model, session or day");
  CallRange which = range(person, query);
  const bool byDay = way->second == CallStore::By::Day;
  const std::int64_t today = Period::dayOf(ledger_.nowMs());
  const std::int64_t first = std::max(Period::dayOf(which.fromMs), today - kMostDays + 1);
  if (byDay) which.fromMs = first * kDayMs; // whole days
  ledger_.flush();
  auto all = ledger_.store().sums(which, way->second, kMostGroups);
  if (byDay) all = filledUp(std::move(all), first, today);
  JsonArray rows;
  for (const CallSums &sums : all) {
    JsonObject row = sumsJson("name", sums);
    row.add("promptTokens", sums.input + sums.cacheRead + sums.cacheWrite5m + sums.cacheWrite1h);
    rows.add(std::move(row).str());
  }
  answer.add("by", by).addRaw("rows", std::move(rows).str());
}

bool Reports::wantsCsv(const Query &query) const {
  const std::string format = text(query, "format");
  if (!format.empty() && format != "json" && format != "csv") throw badParameter("format", "json or csv");
  return format == "csv";
}

void Reports::csv(std::string_view userId, bool byDay, const Query &query, const Write &write) const {
  std::optional<Person> person;
  if (!userId.empty()) person = personOf(userId);
  const CallRange which = byDay && person ? days(*person, query) : range(person ? &*person : nullptr, query);
  ledger_.flush();
  write("at,userId,instanceId,model,session,inputTokens,outputTokens,cacheReadTokens,cacheWrite5mTokens,"
        "cacheWrite1hTokens,webSearches,costUsd,partial\r\n");
  CallStore::Place place;
  // In pages: a client that is slow holds no query.
  for (bool more = true; more;) {
    const std::vector<CallRow> page = ledger_.store().rows(which, place, kPage);
    more = page.size() == static_cast<std::size_t>(kPage);
    std::string lines;
    for (const CallRow &row : page)
      lines += csvLine(row);
    if (page.empty()) break;
    place = {page.back().atMs, page.back().id};
    write(lines);
  }
}

std::string Reports::setQuota(std::string_view userId, std::string_view body) const {
  const Person person = personOf(userId);
  json::parseObject(body);
  const auto daily = limitOf(body, "dailyLimitUsd"), monthly = limitOf(body, "monthlyLimitUsd");
  if (!daily && !monthly)
    throw Error(Status::InvalidArgument,
                R"(neither a daily nor a monthly limit is named: "dailyLimitUsd", "monthlyLimitUsd")", "BAD_FIELD");
  return limitsJson(ledger_.changeLimits(person.id, person.handle, [&](Limits &own) {
    if (daily) own.daily = *daily;
    if (monthly) own.monthly = *monthly;
  }));
}

} // namespace matrixos::gateway
