#include "storage/Database.h"
#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

namespace {

const Access kHooks{"hooks"};
const Access kOther{"other"};

class Store {
public:
  Store() : db({.file = dir / "test.db"}), values(db.keyValues()) {}

  std::string keys(const std::string &prefix, const Access &access = kHooks) const {
    std::string all;
    values.list(access, prefix, [&](const KeyValues::Entry &entry) {
      all += std::string(entry.key) + "=" + std::string(entry.value) + " ";
      return true;
    });
    return all;
  }

  TempDir dir;
  Database db;
  KeyValues &values;
};

} // namespace

TEST_CASE_FIXTURE(Store, "values are kept by key, each owner's apart, and are there after opening again") {
  CHECK_FALSE(values.get(kHooks, "cursor"));
  const auto first = values.put(kHooks, "cursor", "12", KeyValues::kAnyVersion);
  CHECK(first > 0);
  values.put(kOther, "cursor", "theirs", KeyValues::kAnyVersion);
  CHECK(values.get(kHooks, "cursor")->value == "12");
  CHECK(values.get(kHooks, "cursor")->version == first);
  const std::string bytes("\0\xff'\";--", 7);
  values.put(kHooks, bytes, bytes, KeyValues::kAnyVersion);
  CHECK(values.get(kHooks, bytes)->value == bytes);
  values.put(kHooks, "empty", "", KeyValues::kAnyVersion);
  CHECK(values.get(kHooks, "empty")->value.empty());
  values.remove(kHooks, "empty", KeyValues::kAnyVersion);
  values.remove(kHooks, "empty", KeyValues::kAnyVersion);
  CHECK_FALSE(values.get(kHooks, "empty"));
  const auto copy = dir / "copy.db";
  db.backup(copy);
  Database again({.file = copy});
  CHECK(again.keyValues().get(kHooks, "cursor")->value == "12");
  CHECK(again.keyValues().put(kHooks, "x", "y", KeyValues::kAbsent) > first);
}

TEST_CASE_FIXTURE(Store, "a change can depend on the version, and no version comes twice") {
  const auto refused = [&](auto &&change) {
    const Error error = errorOf(change);
    CHECK(error.status() == Status::Aborted);
    CHECK(error.reason() == "EXPECTATION");
  };
  const auto first = values.put(kHooks, "lease", "a", KeyValues::kAbsent);
  refused([&] { values.put(kHooks, "lease", "b", KeyValues::kAbsent); });
  const auto second = values.put(kHooks, "lease", "b", first);
  CHECK(second > first);
  refused([&] { values.put(kHooks, "lease", "c", first); });
  refused([&] { values.remove(kHooks, "lease", first); });
  CHECK(values.get(kHooks, "lease")->value == "b");
  values.remove(kHooks, "lease", second);
  refused([&] { values.put(kHooks, "lease", "c", second); });
  CHECK(values.put(kHooks, "lease", "b", KeyValues::kAbsent) > second);
  // Eight who count in one key lose nothing.
  values.put(kHooks, "count", "0", KeyValues::kAnyVersion);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int done = 0; done < 10;) {
        const auto now = *values.get(kHooks, "count");
        try {
          values.put(kHooks, "count", std::to_string(std::stoi(now.value) + 1), now.version);
          ++done;
        } catch (const Error &e) {
          if (e.reason() != "EXPECTATION") throw;
        }
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(values.get(kHooks, "count")->value == "80");
}

TEST_CASE_FIXTURE(Store, "keys are listed by prefix, in order, in one snapshot, and the list may change them") {
  for (const char *key : {"b/2", "a", "b/1", "b", "c", "b\xff"})
    values.put(kHooks, key, "v", KeyValues::kAnyVersion);
  CHECK(keys("b/") == "b/1=v b/2=v ");
  CHECK(keys("b") == "b=v b/1=v b/2=v b\xff=v ");
  CHECK(keys("b\xff") == "b\xff=v ");
  CHECK(keys("").size() == keys("", kHooks).size());
  CHECK(keys("zzz").empty());
  CHECK(keys("", kOther).empty());
  int seen = 0;
  values.list(kHooks, "b", [&](const KeyValues::Entry &entry) {
    values.remove(kHooks, entry.key, entry.version);
    return ++seen < 3;
  });
  CHECK(keys("") == "a=v b\xff=v c=v ");
}

TEST_CASE_FIXTURE(Store, "keys, values and what one owner keeps have their limits") {
  const std::string longest(KeyValues::kLongestKey, 'k'), largest(KeyValues::kLongestValue, 'v');
  values.put(kHooks, longest, largest, KeyValues::kAnyVersion);
  CHECK(values.get(kHooks, longest)->value == largest);
  CHECK(errorOf([&] { values.put(kHooks, longest + "k", "", KeyValues::kAnyVersion); }).reason() == "KV_KEY");
  CHECK(errorOf([&] { values.put(kHooks, "", "", KeyValues::kAnyVersion); }).reason() == "KV_KEY");
  CHECK(errorOf([&] { values.get(kHooks, ""); }).reason() == "KV_KEY");
  CHECK(errorOf([&] { values.put(kHooks, "k", largest + "v", KeyValues::kAnyVersion); }).reason() == "KV_VALUE");
  // 16 MB are 254 such values with their keys.
  int kept = 0;
  const Error full = errorOf([&] {
    for (;; ++kept)
      values.put(kHooks, std::to_string(kept), largest, KeyValues::kAnyVersion);
  });
  CHECK(full.status() == Status::ResourceExhausted);
  CHECK(full.reason() == "KV_FULL");
  CHECK(kept == 254);
  values.put(kHooks, "0", "small", KeyValues::kAnyVersion);
  values.put(kHooks, "again", largest.substr(1000), KeyValues::kAnyVersion);
  values.put(kOther, "0", largest, KeyValues::kAnyVersion);
}

TEST_CASE_FIXTURE(Store, "no plugin reaches the table itself") {
  values.put(kHooks, "secret", "s", KeyValues::kAnyVersion);
  for (const char *sql : {"SELECT value FROM matrixos_kv", "SELECT * FROM matrixos_kv_use"}) {
    CHECK(errorOf([&] {
            db.query(
                sql, {}, [](const Row &) { return true; }, kOther);
          }).reason() == "TABLE_OWNED");
  }
  CHECK(errorOf([&] { db.execBatch({{"DELETE FROM matrixos_kv"}}, kHooks); }).reason() == "TABLE_OWNED");
  CHECK(keys("") == "secret=s ");
}
