#include "fuzz/isolation/Checks.h"
#include "isolation/Frames.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace matrixos;
using namespace matrixos::isolation;

namespace {

std::string_view payloadOf(const std::string &frame) {
  return std::string_view(frame).substr(kHeaderSize);
}

} // namespace

TEST_CASE("a frame is read as it was written") {
  CallFrame call;
  call.id = 0x0102030405060708ULL;
  call.function = 7;
  call.slot = 0xABCD;
  call.deadlineNs = -1;
  call.operationId = "op";
  call.texts = {"{\"x\":1}", ""};
  call.numbers = {INT64_MIN};
  const std::string bytes = encode(call);
  const FrameHeader header = FrameHeader::read(bytes);
  CHECK(header.type == FrameType::Call);
  CHECK(header.length == bytes.size() - kHeaderSize);
  const auto back = decode<CallFrame>(payloadOf(bytes));
  CHECK(back.id == call.id);
  CHECK(back.slot == call.slot);
  CHECK(back.deadlineNs == -1);
  CHECK(back.operationId == "op");
  CHECK(back.traceId.empty());
  CHECK(back.texts == call.texts);
  CHECK(back.numbers == call.numbers);
}

TEST_CASE("numbers are little endian") {
  CancelFrame cancel;
  cancel.id = 0x0102;
  cancel.stopSink = 1;
  CHECK(encode(cancel) == std::string("\x09\0\0\0\x03\0\0\0\x02\x01\0\0\0\0\0\0\x01", 17));
}

TEST_CASE("lists and doubles") {
  SeriesFrame series;
  series.name = "matrixos_x_seconds";
  series.labels = {{"a", "b"}, {"c", ""}};
  series.buckets = {0.5, 1e300};
  const std::string bytes = encode(series);
  const auto back = decode<SeriesFrame>(payloadOf(bytes));
  CHECK(back.labels == series.labels);
  CHECK(back.buckets == series.buckets);
}

TEST_CASE("what is no frame is refused") {
  const std::string good = encode(CreditFrame{});
  CHECK_THROWS_AS(decode<CreditFrame>(payloadOf(good).substr(0, 5)), Error);
  CHECK_THROWS_AS(decode<CreditFrame>(std::string(payloadOf(good)) + "x"), Error);
  // A text that claims more than there is, and one that claims more than it may.
  CHECK_THROWS_AS(decode<PhaseFrame>(std::string("\x10\0\0\0abc", 7)), Error);
  CHECK_THROWS_AS(decode<PhaseFrame>(std::string("\x21\0\0\0", 4) + std::string(33, 'x')), Error);
  // A list that claims four billion entries.
  CHECK_THROWS_AS(decode<SamplesFrame>(std::string("\xff\xff\xff\xff", 4)), Error);
  CHECK_THROWS_AS(FrameHeader::read(std::string("\xff\xff\xff\x7f\x01\0\0\0", 8)), Error);
  for (const int type : {0, 11, 15, 27, 255})
    CHECK_THROWS_AS(FrameHeader::read(std::string(4, '\0') + static_cast<char>(type) + std::string(3, '\0')), Error);
  CHECK_THROWS_AS(FrameHeader::read(std::string("\0\0\0\0\x01\0\0\x01", 8)), Error);
}

TEST_CASE("what may not be sent is not written") {
  PhaseFrame phase;
  phase.name = "a name of more than thirty-two bytes is none";
  CHECK_THROWS_AS(encode(phase), Error);
  CallFrame call;
  const std::string large(kMaxText + 1, 'x');
  call.texts = {large};
  CHECK_THROWS_AS(encode(call), Error);
}

TEST_CASE("a failure carries all of mos_error, and no status that does not exist") {
  mos_error error{};
  fail(&error, Status::Aborted, "sentence", "REASON", 77);
  const FrameError failure = FrameError::of(MOS_ABORTED, error);
  mos_error back{};
  CHECK(failure.give(&back) == MOS_ABORTED);
  CHECK(back.message == std::string("sentence"));
  CHECK(back.reason == std::string("REASON"));
  CHECK(back.retry_after_ms == 77);
  FrameError strange;
  strange.status = 1234;
  strange.retryAfterMs = -5;
  CHECK(strange.give(&back) == MOS_UNKNOWN);
  CHECK(back.retry_after_ms == 0);
}

TEST_CASE("the corpus of the fuzz target") {
  std::size_t files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(MATRIXOS_ISOLATION_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    CAPTURE(entry.path().string());
    CHECK_NOTHROW(fuzz::checkFrames(bytes));
    ++files;
  }
  CHECK(files >= 10);
}
