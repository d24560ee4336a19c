#include "LogDemuxer.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace matrixos;
using namespace matrixos::docker;

namespace {

std::string frame(int stream, const std::string &text) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(stream);
  for (unsigned i = 0; i < 4; ++i)
    bytes[4 + i] = static_cast<char>(text.size() >> (24 - 8 * i) & 0xFFU);
  return bytes + text;
}

} // namespace

TEST_CASE("log frames become lines however they are cut, streams apart") {
  const std::string text =
      frame(1, "one\ntw") + frame(2, "err\n") + frame(1, "") + frame(1, "o\n\nlast") + frame(2, "tail");
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    std::vector<std::string> lines;
    LogDemuxer decoder([&](LogDemuxer::Stream stream, std::string_view line) {
      lines.push_back((stream == LogDemuxer::Stream::Stdout ? "1:" : "2:") + std::string(line));
      return true;
    });
    CHECK(decoder.feed(text.substr(0, cut)));
    CHECK(decoder.feed(text.substr(cut)));
    CHECK(decoder.finish());
    CHECK(lines == std::vector<std::string>{"1:one", "2:err", "1:two", "1:", "1:last", "2:tail"});
  }
}

TEST_CASE("log frames that lie are refused, and a line without end comes in pieces") {
  const auto take = [](LogDemuxer::Stream, std::string_view) { return true; };
  for (const std::string &bad : {frame(0, "x"), frame(3, "x"), std::string("\x01\x01\0\0\0\0\0\x01", 8)}) {
    LogDemuxer decoder(take);
    CHECK_THROWS_AS(decoder.feed(bad), Error);
  }
  LogDemuxer cut(take);
  cut.feed(frame(1, "whole").substr(0, 10));
  CHECK_THROWS_AS(cut.finish(), Error);
  std::size_t pieces = 0;
  std::size_t bytes = 0;
  LogDemuxer longLine([&](LogDemuxer::Stream, std::string_view line) {
    ++pieces;
    bytes += line.size();
    CHECK(line.size() <= LogDemuxer::kMaxLine);
    return true;
  });
  longLine.feed(frame(1, std::string(3 * LogDemuxer::kMaxLine + 5, 'x') + "\n"));
  CHECK(pieces == 4);
  CHECK(bytes == 3 * LogDemuxer::kMaxLine + 5);
  LogDemuxer stopping([](LogDemuxer::Stream, std::string_view) { return false; });
  CHECK_FALSE(stopping.feed(frame(1, "a\nb\n")));
}
