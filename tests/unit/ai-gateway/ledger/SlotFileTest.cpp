// What stands in the file, and what is made of one that is damaged.
#include "Books.h"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

using namespace matrixos;
using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

std::atomic<int> slotSyncs{0};

} // namespace

/// In the place of the C library's, to see when the file of slots is given to the disk.
extern "C" int fdatasync(int file) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), error);
  const auto result = static_cast<int>(::syscall(SYS_fdatasync, file));
  if (path.filename() == "calls.slots") ++slotSyncs;
  return result;
}

namespace {

void overwrite(const std::filesystem::path &file, std::streamoff offset, const std::string &bytes) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(offset).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(stream.good());
}

} // namespace

TEST_CASE("a call that cannot be read is told and not guessed, the others are charged") {
  Books books;
  books.held("a", pico(10));
  books.held("b", pico(20));
  books.held("c", pico(40));
  books.close();
  overwrite(books.slots(), 256 * 2 + 40, "torn");
  books.open();
  CHECK(books.ledger->total().day == pico(50));
  CHECK(books.ledger->spendOf("b") == Spend{});
  const auto lines = books.host->lines("calls in flight cannot be read and are not charged");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].fields.at("calls") == "1");
  CHECK(books.flush());
  CHECK(books.ledger->check() == "");
}

TEST_CASE("a file of somebody else's is moved aside and told") {
  Books books;
  books.spend("a", pico(10));
  const HoldId before = books.held("a", pico(10));
  books.close();
  for (const std::string &bytes : {std::string("hello"), std::string(8, '\0')}) {
    overwrite(books.slots(), 0, bytes);
    books.open();
    CHECK(books.host->lines("the file of calls in flight was none of ours; what was in flight is not charged").size() ==
          1);
    CHECK(books.ledger->total().day == pico(10));
    // No number comes again although the file that knew them has gone.
    CHECK(books.held("a", pico(1)) > before);
    books.close();
  }
}

TEST_CASE("a call in two slots is charged once") {
  Books books;
  books.held("a", pico(10));
  books.close();
  std::string slot = matrixos::test::readFile(books.slots()).substr(256, 256);
  overwrite(books.slots(), 256 * 5, slot);
  books.open();
  CHECK(books.ledger->total().day == pico(10));
  CHECK(books.flush());
  CHECK(books.rows().size() == 1);
}

TEST_CASE(
    "a call that has a row stands in its slot until that is needed, and is charged once; at the end none is left") {
  Books books;
  books.spend("a", pico(10));
  CHECK(books.flush()); // slots are cleared now, and then a minute later
  books.spend("b", pico(30));
  CHECK(books.flush());
  const std::string before = matrixos::test::readFile(books.slots());
  books.close();
  const std::string after = matrixos::test::readFile(books.slots());
  for (std::size_t slot = 256; slot < after.size(); slot += 256)
    CHECK(after.substr(slot, 8) == std::string(8, '\0'));
  CHECK(before != after);
  overwrite(books.slots(), 0, before); // as if the process had been killed
  books.open();
  CHECK(books.ledger->figures().recovered == 0);
  CHECK(books.ledger->total().day == pico(40));
  CHECK(books.ledger->check() == "");
  CHECK(books.rows().size() == 2);
}

TEST_CASE("a hold, one that is raised and one that is released reach the disk within a moment") {
  Books books;
  const auto reachesDisk = [] { return eventually([] { return slotSyncs > 0; }); };
  slotSyncs = 0;
  const HoldId id = books.held("a", pico(10), false);
  CHECK(reachesDisk());
  slotSyncs = 0;
  CHECK(books.ledger->raise(id, pico(20)));
  CHECK(reachesDisk());
  slotSyncs = 0;
  books.ledger->release(id);
  CHECK(reachesDisk());
}
