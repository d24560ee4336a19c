/// input: what only an enemy or a bug sends. Everything has to be answered, and the runtime has to live on.
#include "Cases.h"

namespace matrixos::conformance {

namespace {

constexpr const char *kRule =
    "runtime.h: specs are JSON objects in UTF-8; a stale or strange argument is an error, not a crash";

/// Afterwards the runtime still does its work.
void stillWorks(CaseSession &t) {
  const std::string ref = t.create(t.spec(t.name()));
  t.expectState(ref, {"created"}, "strange input, and an ordinary create()");
}

void refuse(CaseSession &t, const std::string &spec, const std::string &what) {
  How how = t.how(t.operation());
  how.notUtf8 = true; // of some; what is quoted of them may be so, too
  t.refused(t.rt().create(spec, how), {MOS_INVALID_ARGUMENT}, "create() of " + what, kRule);
}

void deep(CaseSession &t) {
  const std::string arrays(100'000, '[');
  refuse(t, arrays, "100,000 open brackets");
  refuse(t, R"({"name": "x", "image": "x", "labels": )" + arrays + std::string(100'000, ']') + "}",
         "arrays nested 100,000 deep");
  std::string objects;
  for (int i = 0; i < 50'000; ++i)
    objects += "{\"a\":";
  refuse(t, objects, "objects nested 50,000 deep");
  t.refused(t.rt().list(arrays, {}, t.how()), {MOS_INVALID_ARGUMENT}, "list() of 100,000 open brackets", kRule);
  stillWorks(t);
}

void notUtf8(CaseSession &t) {
  const Json spec = t.spec(t.name());
  std::string text = spec.dump();
  const auto with = [&](const std::string &bytes) {
    return text.substr(0, 1) + "\"extra\": \"" + bytes + "\"," + text.substr(1);
  };
  refuse(t, with("\xff\xfe"), "bytes that are no UTF-8");
  refuse(t, with("\xc0\xaf"), "an overlong slash");
  refuse(t, with("\xed\xa0\x80"), "half of a surrogate pair");
  refuse(t, with("cut \xf0\x9f\x8e"), "a character cut short");
  stillWorks(t);
}

void nul(CaseSession &t) {
  const Json spec = t.spec(t.name());
  refuse(t, spec.dump() + std::string(1, '\0'), "a document with a NUL behind it");
  Json named = spec;
  named["name"] = std::string("mosconf\0x", 9);
  refuse(t, named.dump(), "a name with a NUL in it");
  const std::string ref("nobody\0x", 8);
  const Answer answer = t.rt().inspect(ref, t.how());
  t.refused(answer, {MOS_NOT_FOUND, MOS_INVALID_ARGUMENT}, "inspect() of a ref with a NUL in it", kRule);
  stillWorks(t);
}

void strangeRefs(CaseSession &t) {
  for (const std::string &ref :
       {std::string(), std::string("../../etc/passwd"), std::string("a/b?c=d#e"), std::string("%2e%2e"),
        std::string("\xff\xfe"), std::string(100'000, 'x'), std::string("-rf"), std::string("a b\r\nHost: x")}) {
    const std::string what = " of the ref \"" + shown(ref, 30) + "\"";
    How how = t.how(t.operation());
    how.notUtf8 = true;
    t.refused(t.rt().inspect(ref, how), {MOS_NOT_FOUND, MOS_INVALID_ARGUMENT}, "inspect()" + what, kRule);
    t.refused(t.rt().start(ref, how), {MOS_NOT_FOUND, MOS_INVALID_ARGUMENT}, "start()" + what, kRule);
    const Answer answer = t.rt().remove(ref, MOS_REMOVE_FORCE, how);
    if (!answer.ok()) t.refused(answer, {MOS_NOT_FOUND, MOS_INVALID_ARGUMENT}, "remove()" + what, kRule);
  }
  stillWorks(t);
}

void huge(CaseSession &t) {
  Json spec = t.spec(t.name());
  spec["env"]["BIG"] = std::string(8'000'000, 'x');
  const Answer answer = t.rt().create(spec.dump(), t.creating(spec));
  if (!answer.ok())
    t.refused(answer, {MOS_INVALID_ARGUMENT, MOS_RESOURCE_EXHAUSTED}, "create() with a variable of 8 MB", kRule);
  Json named = t.spec(t.name());
  named["name"] = std::string(100'000, 'n');
  refuse(t, named.dump(), "a name of 100,000 characters");
  stillWorks(t);
}

void wrongTypes(CaseSession &t) {
  const std::vector<Json> values{
      7, -1.5, "text", true, Json::array(), Json::array({1}), Json::object(), Json{{"a", 1}}};
  const std::map<std::string, std::string> members{
      {"name", "string"},    {"image", "string"},  {"labels", "object"}, {"env", "object"},       {"command", "array"},
      {"networks", "array"}, {"volumes", "array"}, {"ports", "array"},   {"hostAliases", "array"}};
  for (const auto &[key, type] : members) {
    for (const Json &value : values) {
      const bool mayFit = value.type_name() == type && value.empty();
      if (mayFit || (type == "string" && value.is_string())) continue;
      Json spec = t.spec(t.name());
      spec[key] = value;
      refuse(t, spec.dump(), "\"" + key + "\": " + value.dump());
    }
  }
  stillWorks(t);
}

void strangeNumbers(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string text = spec.dump();
  const auto with = [&](const char *member) { return text.substr(0, 1) + member + "," + text.substr(1); };
  // The last member of a name counts in most parsers, so the spec's own ones go first.
  const auto replaced = [&](const char *key, const char *number) {
    Json without = spec;
    without.erase(key);
    const std::string body = without.dump();
    return body.substr(0, 1) + "\"" + key + "\": " + number + "," + body.substr(1);
  };
  for (const char *number : {"NaN", "Infinity", "0x10", "1e", "01", "+1", ".5"})
    refuse(t, replaced("cpus", number), std::string("\"cpus\": ") + number);
  for (const char *number : {"1e400", "99999999999999999999999999"}) {
    const Answer answer = t.rt().create(replaced("memoryBytes", number), t.how(t.operation()));
    t.expect(!answer.ok(), std::string("a refusal of \"memoryBytes\": ") + number, answer.text(), kRule);
  }
  refuse(t, with("\"a\": tru"), "half a word");
  stillWorks(t);
}

void strangeLabels(CaseSession &t) {
  const Answer answer = t.rt().list("{\"" + std::string(50'000, 'k') + "\": \"v\"}", {}, t.how());
  if (!answer.ok())
    t.refused(answer, {MOS_INVALID_ARGUMENT, MOS_RESOURCE_EXHAUSTED}, "list() with a label of 50,000 characters",
              kRule);
  t.expect(answer.items.empty(), "no instance for a label that none has", std::to_string(answer.items.size()));
  How how = t.how();
  how.notUtf8 = true;
  t.refused(t.rt().list("{\"a\": \"\xff\"}", {}, how), {MOS_INVALID_ARGUMENT}, "list() of labels that are no UTF-8",
            kRule);
  stillWorks(t);
}

} // namespace

void addHostileInput(CaseList &list) {
  list.push_back({"input.deep", "deep documents are refused, without a crash", kRule, kOptional, deep});
  list.push_back({"input.not-utf8", "bytes that are no UTF-8 are refused", kRule, kOptional, notUtf8});
  list.push_back({"input.nul", "a NUL hides nothing", kRule, kOptional, nul});
  list.push_back({"input.refs", "refs are looked up, never interpreted", kRule, kOptional, strangeRefs});
  list.push_back({"input.huge", "huge values are answered", kRule, kOptional, huge});
  list.push_back({"input.types", "members of the wrong type are refused", kRule, kOptional, wrongTypes});
  list.push_back({"input.numbers", "numbers that are none are refused", kRule, kOptional, strangeNumbers});
  list.push_back({"input.labels", "strange labels match nothing", kRule, kOptional, strangeLabels});
}

} // namespace matrixos::conformance
