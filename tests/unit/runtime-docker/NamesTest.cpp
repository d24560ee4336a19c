#include "ImageName.h"
#include "Text.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::docker;

TEST_CASE("image references") {
  const std::string digest = "sha256:" + std::string(64, 'a');
  struct Case {
    std::string text, repository, reference, registry;
  };
  for (const Case &c : {Case{"alpine", "alpine", "latest", "docker.io"}, Case{"a/b:1.2-x", "a/b", "1.2-x", "docker.io"},
                        Case{"ghcr.io/hamedmp/matrix-os:latest", "ghcr.io/hamedmp/matrix-os", "latest", "ghcr.io"},
                        Case{"127.0.0.1:5000/x", "127.0.0.1:5000/x", "latest", "127.0.0.1:5000"},
                        Case{"localhost/x:1", "localhost/x", "1", "localhost"},
                        Case{"quay.io/x@" + digest, "quay.io/x", digest, "quay.io"},
                        Case{"quay.io/x:1@" + digest, "quay.io/x", digest, "quay.io"}}) {
    CAPTURE(c.text);
    const ImageName name = ImageName::parse(c.text);
    CHECK(name.repository == c.repository);
    CHECK(name.reference() == c.reference);
    CHECK(name.registry() == c.registry);
  }
  CHECK(ImageName::parse("alpine").full() == "alpine:latest");
  CHECK(ImageName::parse(digest).isId());
  CHECK(ImageName::parse(digest).full() == digest);
  for (const char *bad : {"", " ", "a b", "a:", ":a", "a:b:c", "/a", "a/", "a//b", "../a", "a/../b", "a@sha256:12",
                          "a@md5:x", "a?x", "a#x", "a\n", "-a", "a:-b"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(ImageName::parse(bad), Error);
  }
  CHECK_THROWS_AS(ImageName::parse(std::string(600, 'a')), Error);
}

TEST_CASE("times") {
  CHECK(engineTime("1970-01-01T00:00:01Z") == 1000);
  CHECK(engineTime("2026-11-23T15:12:51.71763906Z") == 1795446771717);
  CHECK(engineTime("2026-11-23T16:12:51.7+01:00") == 1795446771700);
  CHECK(engineTime("0001-01-01T00:00:00Z") == 0);
  for (const char *bad : {"", "now", "2026-11-23", "2026-11-23T15:12:51", "2026-13-23T15:12:51Z",
                          "2026-11-23T15:12:51Zx", "2026-11-23T15:12:5"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(engineTime(bad), Error);
  }
}

TEST_CASE("strangers' text is made fit to show") {
  CHECK(tidy("  a\n\tb\x1b[31m \x7f c ", 100) == "a b [31m c");
  CHECK(tidy("\xff"
             "a\xC3",
             100) == "\xEF\xBF\xBD"
                     "a\xEF\xBF\xBD");
  CHECK(tidy("abcdef", 3) == "abc…");
  CHECK(tidy("\xC3\xA4\xC3\xA4", 3) == "\xC3\xA4…");
}
