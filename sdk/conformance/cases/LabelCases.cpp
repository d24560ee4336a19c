/// labels: kept as they are, and filters match all of them.
#include "Cases.h"

#include <algorithm>

namespace matrixos::conformance {

namespace {

constexpr const char *kAll = "runtime.h list(): descriptions of all with these labels";

std::string withLabels(CaseSession &t, const std::map<std::string, std::string> &labels) {
  Json spec = t.spec(t.name());
  for (const auto &[key, value] : labels)
    spec["labels"][key] = value;
  t.create(spec);
  return textOf(spec, "name");
}

std::vector<std::string> named(CaseSession &t, const std::map<std::string, std::string> &labels) {
  Json filter{{t.mark().first, t.mark().second}};
  for (const auto &[key, value] : labels)
    filter[key] = value;
  std::vector<std::string> names;
  for (const Json &item : t.list(filter.dump()))
    names.push_back(textOf(item, "name"));
  std::sort(names.begin(), names.end());
  return names;
}

void expectNames(CaseSession &t, std::vector<std::string> wanted, const std::map<std::string, std::string> &labels) {
  std::sort(wanted.begin(), wanted.end());
  const std::vector<std::string> got = named(t, labels);
  t.expect(got == wanted, joined(wanted) + " for the labels " + Json(labels).dump(), joined(got), kAll);
}

void allMatch(CaseSession &t) {
  const std::string red = withLabels(t, {{"colour", "red"}, {"size", "big"}});
  const std::string blue = withLabels(t, {{"colour", "blue"}, {"size", "big"}});
  const std::string plain = withLabels(t, {});
  expectNames(t, {red, blue, plain}, {});
  expectNames(t, {red, blue}, {{"size", "big"}});
  expectNames(t, {red}, {{"colour", "red"}});
  expectNames(t, {red}, {{"colour", "red"}, {"size", "big"}});
  expectNames(t, {}, {{"colour", "red"}, {"size", "small"}});
}

void exact(CaseSession &t) {
  const std::string one = withLabels(t, {{"colour", "red"}});
  withLabels(t, {{"colour", "redder"}});
  withLabels(t, {{"colour", "Red"}});
  withLabels(t, {{"colours", "red"}});
  expectNames(t, {one}, {{"colour", "red"}});
  expectNames(t, {}, {{"colour", "re"}});
  expectNames(t, {}, {{"colour", "*"}});
}

void kept(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.create(spec);
  const Json labels = t.inspect(ref).value("labels", Json::object());
  for (const auto &[key, value] : spec["labels"].items()) {
    t.expect(labels.value(key, Json()) == value, "the label " + key + "=" + value.dump(),
             labels.value(key, Json()).dump(), "runtime.h: \"labels\" of the description are those of the spec");
  }
}

/// Values that a filter built from text by joining would break on.
void quoting(CaseSession &t) {
  const std::vector<std::string> values{"a,b",           "x=y",          "say \"hi\"", "back\\slash",
                                        "{\"k\":\"v\"}", "50 % of 'it'", " spaces "};
  std::vector<std::string> names;
  for (const std::string &value : values)
    names.push_back(withLabels(t, {{"quoted", value}}));
  for (std::size_t i = 0; i < values.size(); ++i)
    expectNames(t, {names[i]}, {{"quoted", values[i]}});
}

void unicode(CaseSession &t) {
  const std::string name = withLabels(t, {{"greeting", "Grüße, 世界 🎈"}});
  withLabels(t, {{"greeting", "Grüsse"}});
  expectNames(t, {name}, {{"greeting", "Grüße, 世界 🎈"}});
  const Json labels = t.inspect(name).value("labels", Json::object());
  t.expect(textOf(labels, "greeting") == "Grüße, 世界 🎈", "the label Grüße, 世界 🎈", textOf(labels, "greeting"),
           "runtime.h: specs and descriptions are JSON objects in UTF-8");
}

void escaped(CaseSession &t) {
  const std::string name = t.name();
  Json spec = t.spec(name);
  spec["labels"]["greeting"] = "Grüße 🎈";
  t.ok(t.rt().create(spec.dump(-1, ' ', true), t.creating(spec)), "create() of a spec with \\u escapes");
  expectNames(t, {name}, {{"greeting", "Grüße 🎈"}});
}

void emptyValue(CaseSession &t) {
  const std::string empty = withLabels(t, {{"flag", ""}});
  withLabels(t, {{"flag", "set"}});
  withLabels(t, {});
  const std::vector<std::string> got = named(t, {{"flag", ""}});
  t.expect(std::find(got.begin(), got.end(), empty) != got.end(), "the instance with an empty label", joined(got),
           kAll);
  t.expect(got.size() == 1, "no other one", joined(got), kAll);
}

} // namespace

void addLabels(CaseList &list) {
  list.push_back({"labels.all-match", "several labels all have to match", kAll, kCore, allMatch});
  list.push_back({"labels.exact", "names and values match as a whole and in their case", kAll, kCore, exact});
  list.push_back({"labels.kept", "a description carries the labels of the spec", "runtime.h: description, \"labels\"",
                  kCore, kept});
  list.push_back(
      {"labels.quoting", "commas, equal signs, quotes and blanks are part of a value", kAll, kCore, quoting});
  list.push_back({"labels.unicode", "values are UTF-8", kAll, kCore, unicode});
  list.push_back({"labels.escaped", "\\u escapes in a spec mean the characters they stand for", kAll, kCore, escaped});
  list.push_back({"labels.empty-value", "an empty value matches an empty value alone", kAll, kCore, emptyValue});
}

} // namespace matrixos::conformance
