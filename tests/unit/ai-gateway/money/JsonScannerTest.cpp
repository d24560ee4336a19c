#include <ai-gateway/money/JsonScanner.h>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace matrixos::gateway;

namespace {

constexpr std::array<std::string_view, 3> kNames = {"model", "list", "ttl"};

struct Notes final : JsonScanner::Handler {
  std::vector<std::string> lines;

  void onText(const JsonScanner::Place &place, std::string_view text, std::size_t bytes) override {
    note(place, std::string(text) + "/" + std::to_string(bytes));
  }
  void onNumber(const JsonScanner::Place &place, std::string_view text) override { note(place, std::string(text)); }
  void onWord(const JsonScanner::Place &place, std::string_view text) override { note(place, std::string(text)); }
  void onOpen(const JsonScanner::Place &place, bool object) override { note(place, object ? "{" : "["); }
  void onClose(const JsonScanner::Place &place) override { note(place, "end"); }

  void note(const JsonScanner::Place &place, const std::string &what) {
    lines.push_back(std::to_string(place.depth) + ":" + std::to_string(place.name) + " " + what);
  }
};

std::vector<std::string> scan(std::string_view text, bool &good, std::size_t step = 1) {
  Notes notes;
  JsonScanner scanner(kNames, notes);
  for (std::size_t at = 0; at < text.size(); at += step)
    scanner.feed(text.substr(at, step));
  good = scanner.done();
  return notes.lines;
}

/// Texts that are JSON, and some that nearly are.
rc::Gen<std::string> texts() {
  const auto piece = rc::gen::element<std::string>("{", "}", "[", "]", ",", ":", "\"model\"", "\"a\\u0062\"", "\"\\",
                                                   "\"x\"", "0", "-1", "1.5e+3", "01", "1.", "true", "nul", "null", " ",
                                                   "\n", "{\"ttl\":", "[[", "]]", "\"\\ud83d\\ude00\"", "\"\x01\"");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece), [](const std::vector<std::string> &pieces) {
    std::string text;
    for (const std::string &each : pieces)
      text += each;
    return text;
  });
}

} // namespace

TEST_CASE("json: what stands where") {
  bool good = false;
  const auto lines = scan(R"( {"model":"a\nb","list":[1,{"ttl":true,"other":"secret"},[]],"\u006dodel":null} )", good);
  CHECK(good);
  const std::vector<std::string> wanted = {"0:0 {",    "1:1 a\nb/4", "1:2 [",     "2:255 1", "2:255 {",
                                           "3:3 true", "3:254 /6",   "2:255 end", "2:255 [", "2:255 end",
                                           "1:2 end",  "1:1 null",   "0:0 end"};
  CHECK(lines == wanted);
}

TEST_CASE("json: paths end after eight names, names do not, and what follows has its own") {
  struct Paths final : JsonScanner::Handler {
    std::vector<std::pair<std::uint64_t, int>> places;
    void onWord(const JsonScanner::Place &place, std::string_view) override {
      places.emplace_back(place.path, place.name);
    }
    void onClose(const JsonScanner::Place &place) override {
      if (place.depth > 8) places.emplace_back(place.path, place.name);
    }
  } paths;
  JsonScanner scanner(kNames, paths);
  CHECK(scanner.feed(R"({"list":[[[[[[[{"model":null,"ttl":[null,{}],"x":{"model":null}}]]]]]]],"ttl":null})"));
  constexpr std::uint64_t kEight = 0xFFFFFFFFFFFFFF02;
  using Item = std::pair<std::uint64_t, int>;
  CHECK(paths.places == std::vector<Item>{Item(kEight, 1), Item(kEight, 255), Item(kEight, 0), Item(kEight, 0),
                                          Item(kEight, 1), Item(kEight, 0), Item(pathOf(3), 3)});
}

TEST_CASE("json: depth has a limit, length has none") {
  bool good = false;
  scan(std::string(256, '[') + std::string(256, ']'), good);
  CHECK(good);
  scan(std::string(257, '[') + std::string(257, ']'), good);
  CHECK_FALSE(good);
  const auto lines = scan("{\"model\":\"" + std::string(100'000, 'x') + "\"}", good, 1000);
  CHECK(good);
  CHECK(lines[1] == "1:1 " + std::string(JsonScanner::kMaxText, 'x') + "/100000");
}

TEST_CASE("json: takes what a strict parser takes, however it is cut") {
  CHECK(rc::check([] {
    const std::string text = *texts();
    const auto step = *rc::gen::inRange<std::size_t>(1, 20);
    bool good = false;
    Notes notes;
    JsonScanner scanner(kNames, notes);
    for (std::size_t at = 0; at < text.size(); at += step)
      scanner.feed(std::string_view(text).substr(at, step));
    // A number at the root ends with what follows it.
    scanner.feed("\n");
    good = scanner.done();
    if (text.find("\\ud83d") == std::string::npos) RC_ASSERT(good == nlohmann::json::accept(text));
    Notes whole;
    JsonScanner again(kNames, whole);
    again.feed(text);
    again.feed("\n");
    RC_ASSERT(again.done() == good);
    RC_ASSERT(whole.lines == notes.lines);
  }));
}
