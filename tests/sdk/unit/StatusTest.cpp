#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>

using namespace matrixos;

TEST_CASE("an error keeps what it carries across the border") {
  mos_error error{};
  const mos_status status =
      guarded(&error, [] { throw Error(Status::Aborted, "the port is taken", "PORT_IN_USE", 250); });
  CHECK(status == MOS_ABORTED);
  CHECK(error.status == MOS_ABORTED);
  const Error back = toError(status, error);
  CHECK(back.status() == Status::Aborted);
  CHECK(std::string(back.what()) == "the port is taken");
  CHECK(back.reason() == "PORT_IN_USE");
  CHECK(back.retryAfterMs() == 250);
}

TEST_CASE("whatever is thrown becomes a status") {
  mos_error error{};
  CHECK(guarded(&error, [] { throw std::bad_alloc(); }) == MOS_RESOURCE_EXHAUSTED);
  CHECK(guarded(&error, [] { throw std::runtime_error("odd"); }) == MOS_INTERNAL);
  CHECK(std::string(error.message) == "odd");
  CHECK(guarded(&error, [] { throw 5; }) == MOS_INTERNAL);
  CHECK(guarded(nullptr, [] { throw Error(Status::NotFound, "no"); }) == MOS_NOT_FOUND);
  CHECK(guarded(&error, [] {}) == MOS_OK);
  CHECK(guarded(&error, []() -> mos_status { return MOS_CANCELLED; }) == MOS_CANCELLED);
}

TEST_CASE("texts are cut at a character, and always end") {
  mos_error error{};
  std::string text(MOS_MESSAGE_SIZE - 2, 'x');
  text += "\xE2\x98\x83"; // would end in the middle of a snowman
  fail(&error, Status::Internal, text, std::string(1000, 'R'));
  CHECK(std::strlen(error.message) == MOS_MESSAGE_SIZE - 2);
  CHECK(std::strlen(error.reason) == MOS_REASON_SIZE - 1);
  const std::string exact(MOS_MESSAGE_SIZE - 1, 'y');
  fail(&error, Status::Internal, exact);
  CHECK(exact == error.message);
  CHECK(std::string(error.reason).empty());
}

TEST_CASE("an error that another plugin filled badly is read safely") {
  mos_error error;
  std::memset(&error, 'x', sizeof error); // no end to either text
  const Error read = toError(MOS_UNAVAILABLE, error);
  CHECK(std::string(read.what()).size() == MOS_MESSAGE_SIZE);
  CHECK(read.reason().size() == MOS_REASON_SIZE);
  const mos_error empty{};
  CHECK(std::string(toError(MOS_UNAVAILABLE, empty).what()) == "UNAVAILABLE");
}

TEST_CASE("statuses from the future are unknown, and internal to HTTP") {
  const auto future = static_cast<Status>(4711);
  CHECK(std::string(statusName(future)) == "UNKNOWN");
  CHECK(httpStatus(future) == 500);
  CHECK(httpStatus(Status::ResourceExhausted) == 503);
  for (mos_status status = MOS_OK; status <= MOS_UNAUTHENTICATED; ++status) {
    const int http = httpStatus(static_cast<Status>(status));
    CHECK(http >= 200);
    CHECK((http == 200) == (status == MOS_OK));
  }
}

TEST_CASE("empty text crosses with a null pointer") {
  CHECK(fromAbi(mos_str{nullptr, 0}).empty());
  CHECK(fromAbi(toAbi("")).empty());
}
