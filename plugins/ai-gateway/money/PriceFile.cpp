#include "ExactJson.h"
#include "PriceTable.h"

#include <matrixos/status.hpp>
#include <matrixos/text/time.hpp>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

namespace matrixos::gateway {

namespace {

constexpr std::string_view kUnit = "USD per million tokens";
/// More is a slip of the pen: a dollar for one token.
constexpr std::int64_t kMostUnits = 1'000'000;

Error bad(const std::string &place, const std::string &what) {
  return Error(Status::InvalidArgument, "prices: " + place + " " + what, "BAD_PRICES");
}

/// One object of the file, with where it stands.
class Part {
public:
  Part(const ExactJson &json, std::string place) : json_(json), place_(std::move(place)) {
    if (json_.kind != ExactJson::Kind::Object) throw bad(place_.empty() ? "the file" : place_, "has to be an object");
  }

  std::string place(std::string_view name) const {
    return place_.empty() ? std::string(name) : place_ + "." + std::string(name);
  }
  const ExactJson *find(std::string_view name) const { return json_.find(name); }
  const ExactJson &get(std::string_view name) const {
    const ExactJson *member = find(name);
    if (member == nullptr) throw bad(place(name), "is missing");
    return *member;
  }
  /// Whoever writes "untill" has to hear of it.
  void allowOnly(std::initializer_list<std::string_view> names) const {
    for (const ExactJson &member : json_.members) {
      if (std::find(names.begin(), names.end(), member.name) == names.end())
        throw bad(place(member.name), "is no member of this place");
    }
  }
  std::string text(std::string_view name) const {
    const ExactJson &member = get(name);
    if (member.kind != ExactJson::Kind::Text || member.text.empty()) throw bad(place(name), "has to be a text");
    return member.text;
  }
  /// A decimal number in units of 10^-digits.
  std::int64_t decimal(std::string_view name, int digits) const;
  Money perToken(std::string_view name) const { return Money::ofPico(decimal(name, 6)); }
  std::int64_t day(std::string_view name, std::int64_t fallback) const {
    if (find(name) == nullptr) return fallback;
    const auto time = parseTime(text(name) + "T00:00:00Z");
    if (!time) throw bad(place(name), "has to be a day like \"2026-10-07\"");
    return *time;
  }

private:
  const ExactJson &json_;
  std::string place_;
};

std::int64_t Part::decimal(std::string_view name, int digits) const {
  const ExactJson &member = get(name);
  const std::string &text = member.text;
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto isDigits = [](std::string_view part) {
    return part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  std::string fraction = point < text.size() ? text.substr(point + 1) : "";
  if (member.kind != ExactJson::Kind::Number || point == 0 || !isDigits(text.substr(0, point)) || !isDigits(fraction))
    throw bad(place(name), "has to be a plain decimal number, not negative");
  while (!fraction.empty() && fraction.back() == '0')
    fraction.pop_back();
  if (fraction.size() > static_cast<std::size_t>(digits))
    throw bad(place(name), "has more than " + std::to_string(digits) + " decimal places; pico-dollars come whole");
  fraction.resize(static_cast<std::size_t>(digits), '0');
  if (point > 7 || std::stoll(text.substr(0, point)) > kMostUnits)
    throw bad(place(name), "is more than " + std::to_string(kMostUnits));
  return std::stoll(text.substr(0, point) + fraction);
}

PriceTable::Sheet sheet(const Part &part) {
  return {part.perToken("input"), part.perToken("write_5m"), part.perToken("write_1h"), part.perToken("read"),
          part.perToken("output")};
}

std::vector<std::string> aliases(const Part &part) {
  std::vector<std::string> names;
  const ExactJson *list = part.find("aliases");
  if (list == nullptr) return names;
  for (const ExactJson &value : list->members) {
    if (value.kind != ExactJson::Kind::Text || value.text.empty())
      throw bad(part.place("aliases"), "has to be a list of texts");
    names.push_back(value.text);
  }
  if (list->kind != ExactJson::Kind::Array) throw bad(part.place("aliases"), "has to be a list of texts");
  return names;
}

PriceTable::Row row(const Part &part) {
  part.allowOnly({"model", "aliases", "from", "until", "input", "write_5m", "write_1h", "read", "output", "above",
                  "fast", "note", "source"});
  PriceTable::Row made;
  made.model = part.text("model");
  made.aliases = aliases(part);
  made.fromMs = part.day("from", made.fromMs);
  made.untilMs = part.day("until", made.untilMs);
  if (made.fromMs >= made.untilMs) throw bad(part.place("until"), "has to be a later day than \"from\"");
  made.sheet = sheet(part);
  if (const ExactJson *member = part.find("above")) {
    const Part above(*member, part.place("above"));
    above.allowOnly({"prompt", "input", "write_5m", "write_1h", "read", "output"});
    made.above = {static_cast<std::uint64_t>(above.decimal("prompt", 0)), sheet(above)};
  }
  if (const ExactJson *member = part.find("fast")) {
    const Part fast(*member, part.place("fast"));
    fast.allowOnly({"input", "write_5m", "write_1h", "read", "output"});
    made.fast = sheet(fast);
  }
  return made;
}

std::vector<PriceTable::Row> rows(const Part &file) {
  const ExactJson &list = file.get("models");
  if (list.kind != ExactJson::Kind::Array || list.members.empty()) throw bad("models", "has to be a list of prices");
  std::vector<PriceTable::Row> made;
  std::map<std::string, std::string> owners; // names and aliases → model
  std::set<std::pair<std::string, std::int64_t>> begun;
  for (const ExactJson &value : list.members) {
    const Part part(value, "models[" + std::to_string(made.size()) + "]");
    made.push_back(row(part));
    const PriceTable::Row &last = made.back();
    if (!begun.emplace(last.model, last.fromMs).second)
      throw bad(part.place("from"), "is that of another row for " + last.model);
    if (owners.emplace(last.model, last.model).first->second != last.model)
      throw bad(part.place("model"), "is an alias of another model");
    for (const std::string &alias : last.aliases) {
      if (owners.emplace(alias, last.model).first->second != last.model)
        throw bad(part.place("aliases"), "holds a name of another model: " + alias);
    }
  }
  return made;
}

} // namespace

std::shared_ptr<const PriceTable> PriceTable::parse(std::string_view json) {
  const ExactJson document = ExactJson::parse(json);
  const Part file(document, "");
  file.allowOnly({"unit", "models", "geo", "batch", "web_search", "note", "source"});
  if (file.text("unit") != kUnit) throw bad("unit", "has to be \"" + std::string(kUnit) + "\"");
  std::map<std::string, std::uint64_t, std::less<>> geo;
  if (const ExactJson *member = file.find("geo")) {
    const Part factors(*member, "geo");
    for (const ExactJson &factor : member->members)
      geo.emplace(factor.name, static_cast<std::uint64_t>(factors.decimal(factor.name, 6)));
  }
  const std::uint64_t batch =
      file.find("batch") != nullptr ? static_cast<std::uint64_t>(file.decimal("batch", 6)) : kOne;
  const Money webSearch = Money::ofPico(file.decimal("web_search", 12));
  return std::make_shared<const PriceTable>(rows(file), std::move(geo), batch, webSearch);
}

} // namespace matrixos::gateway
