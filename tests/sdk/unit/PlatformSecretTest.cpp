#include "support/TempDir.h"

#include <matrixos/platform_secret.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace matrixos;
using namespace matrixos::test;

TEST_CASE("a secret is read from its file as the daemon reads it") {
  const TempDir dir;
  const auto file = dir / "secret";
  for (const std::string text : {"word", "word\n", "word\r\n", "word \n", "word\t\n", " \tword\n", "\n\nword\n\n"}) {
    CAPTURE(text);
    writeFile(file, text);
    CHECK(readSecretFile(file) == "word");
  }
  for (const std::string text : {"", "\n", " \t\r\n"}) {
    CAPTURE(text);
    writeFile(file, text);
    CHECK(readSecretFile(file).empty());
  }
  CHECK(readSecretFile(dir / "none").empty());
  CHECK(readSecretFile("").empty());
}
