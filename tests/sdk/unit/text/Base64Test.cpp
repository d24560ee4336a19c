#include <matrixos/text/base64.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace matrixos;

TEST_CASE("base64: the vectors of RFC 4648 §10") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto &[bytes, text] : vectors) {
    CAPTURE(bytes);
    CHECK(base64Encode(bytes) == text);
    CHECK(base64Decode(text) == bytes);
    CHECK(base64Decode(text.substr(0, text.find('='))) == bytes); // without its padding
    CHECK(base64Decode(text, Base64::Url) == bytes);
  }
  CHECK(base64Encode("ab") == "YWI=");
  CHECK(base64Encode("abc") == "YWJj");
}

TEST_CASE("base64: each alphabet has its own last two characters") {
  CHECK(base64Encode("\xfb\xff") == "+/8=");
  CHECK(base64Encode("\xfb\xff", Base64::Url) == "-_8=");
  CHECK(base64Decode("+/8=") == "\xfb\xff");
  CHECK(base64Decode("-_8", Base64::Url) == "\xfb\xff");
  CHECK_FALSE(base64Decode("-_8="));
  CHECK_FALSE(base64Decode("+/8=", Base64::Url));
}

TEST_CASE("base64: what is none is refused") {
  for (const char *text :
       {"a b",    "a",      "YWJjZ", "=",    "==",    "====",   "Y===", "YQ=", "YQ===", "YQ==YQ==",  "Y=Q=",
        "YQ==\n", "YWJj\n", " YWJj", "YW.j", "YWJj=", "YWJj==", "YR==", "YWJ", "Zm9=",  "\xC3\xA4YQ"}) {
    CAPTURE(text);
    CHECK_FALSE(base64Decode(text));
  }
  CHECK_FALSE(base64Decode(std::string("YQ\0=", 4)));
}

TEST_CASE("base64: every text of bytes comes back") {
  CHECK(rc::check([](const std::string &bytes, bool url) {
    const Base64 alphabet = url ? Base64::Url : Base64::Standard;
    const std::string text = base64Encode(bytes, alphabet);
    RC_ASSERT(text.size() == (bytes.size() + 2) / 3 * 4);
    RC_ASSERT(base64Decode(text, alphabet) == bytes);
    RC_ASSERT(base64Decode(text.substr(0, text.find('=')), alphabet) == bytes);
  }));
}

TEST_CASE("base64: whatever is taken is what would have been written") {
  CHECK(rc::check([] {
    const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AQZgw0+/-_= ")));
    const auto bytes = base64Decode(text);
    if (!bytes) return;
    const std::string written = base64Encode(*bytes);
    RC_ASSERT(text == written || text == written.substr(0, written.find('=')));
  }));
}
