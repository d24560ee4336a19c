#include <ai-gateway/money/EventStream.h>
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

using namespace matrixos::gateway;

namespace {

struct Events final : EventStream::Handler {
  std::string all;
  std::string data;

  bool wantsData(std::string_view event) override { return event != "skip"; }
  void onData(std::string_view piece) override { data += piece; }
  void onEvent(std::string_view event) override {
    (((all += '(') += event) += '|') += data;
    all += ')';
    data.clear();
  }
};

std::string events(std::string_view bytes, std::size_t step, bool finish = false) {
  Events found;
  EventStream stream(found);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    stream.feed(bytes.substr(at, step));
  if (finish) stream.finish();
  return found.all;
}

} // namespace

TEST_CASE("event stream: the rules of the standard") {
  const std::pair<std::string, const char *> rows[] = {
      {"event: a\ndata: 1\n\n", "(a|1)"},
      {"event:a\r\ndata:1\r\n\r\n", "(a|1)"},
      {"event: a\rdata: 1\r\r", "(a|1)"},
      {"\xEF\xBB\xBF"
       "event: a\ndata: 1\n\n",
       "(a|1)"},
      {"\xEF\xBB"
       "event: a\ndata: 1\n\n",
       "(|1)"}, // no mark, and no field that anybody knows
      {"data: 1\ndata:2\ndata:  3\n\n", "(|1\n2\n 3)"},
      {"data\n\n", "(|)"},
      {"data: 1\ndata\n\n", "(|1\n)"},
      {"event: a\n\ndata: 1\n\n", "(|1)"}, // without data there is no event, and its name is forgotten
      {"event: a\nevent: b\ndata: 1\n\n", "(b|1)"},
      {"event: a\nevent\ndata: 1\n\n", "(|1)"},
      {"data: 1\nevent: a\n\n", "(a|1)"},
      {": a comment\n:\ndata: 1\n\n\n\n", "(|1)"},
      {"id: 7\nretry: 10\nDATA: 0\n data: 0\ndatas: 0\ndata: 1\n\n", "(|1)"},
      {"event: skip\ndata: 1\ndata: 2\n\ndata: 3\n\n", "(skip|)(|3)"},
      {"data: 1\n", ""},
      {"data: a:b: c\n\n", "(|a:b: c)"},
      {"event: " + std::string(100, 'n') + "\ndata: 1\n\n", "(nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn|1)"}};
  for (const auto &[bytes, wanted] : rows) {
    CAPTURE(bytes);
    for (std::size_t step = 1; step <= bytes.size(); ++step)
      CHECK(events(bytes, step) == wanted);
  }
}

TEST_CASE("event stream: the last event may lack its empty line") {
  CHECK(events("event: a\ndata: 1\n", 3, true) == "(a|1)");
  CHECK(events("event: a\ndata: 1", 3, true) == "(a|1)");
  CHECK(events("event: a\ndata", 3, true) == "(a|)");
  CHECK(events("event: a\n", 3, true).empty());
  CHECK(events("", 1, true).empty());
}

TEST_CASE("event stream: a cut changes nothing") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
        "\n", "\r", "\r\n", "data:", "data: ", "event:", "event: a", "skip", ":", " ", "x", "\xEF\xBB\xBF"));
    std::string bytes;
    for (const std::string &piece : pieces)
      bytes += piece;
    const auto step = *rc::gen::inRange<std::size_t>(1, 8);
    RC_ASSERT(events(bytes, step, true) == events(bytes, bytes.size() + 1, true));
  }));
}
