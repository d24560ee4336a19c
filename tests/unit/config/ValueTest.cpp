#include "config/ListenAddress.h"
#include "config/Text.h"
#include "config/ValueParser.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::config;

namespace {

KeySpec keyOf(ValueType type) {
  KeySpec key;
  key.name = "k";
  key.type = type;
  key.defaultValue = "x";
  return key;
}

std::int64_t amount(ValueType type, const char *text) {
  return parseValue(keyOf(type), text).integer;
}

bool refuses(ValueType type, const char *text) {
  try {
    parseValue(keyOf(type), text);
    return false;
  } catch (const Error &e) {
    return e.status() == Status::InvalidArgument;
  }
}

} // namespace

TEST_CASE("durations are read exactly and written in the largest unit") {
  CHECK(amount(ValueType::Duration, "250ms") == 250);
  CHECK(amount(ValueType::Duration, "90s") == 90'000);
  CHECK(amount(ValueType::Duration, "30m") == 1'800'000);
  CHECK(amount(ValueType::Duration, "24h") == 86'400'000);
  CHECK(amount(ValueType::Duration, "1.5d") == 129'600'000);
  CHECK(amount(ValueType::Duration, "1.5h") == 5'400'000);
  CHECK(amount(ValueType::Duration, "0.25s") == 250);
  CHECK(amount(ValueType::Duration, "0") == 0);
  for (const char *text : {"30", "30 m", "m", "", "-1s", "+1s", "1e3s", "1w", "30M", "1.0005s", "1.s", ".5s", "1.2.3s",
                           "0x10s", "9223372036854775807h", "99999999999999999999s", "1,5s", "30m "}) {
    CAPTURE(text);
    CHECK(refuses(ValueType::Duration, text));
  }
  CHECK(formatDuration(0) == "0s");
  CHECK(formatDuration(1500) == "1500ms");
  CHECK(formatDuration(5'400'000) == "90m");
  CHECK(formatDuration(86'400'000) == "1d");
}

TEST_CASE("sizes are powers of 1024") {
  CHECK(amount(ValueType::Size, "256MB") == 268'435'456);
  CHECK(amount(ValueType::Size, "1KB") == 1024);
  CHECK(amount(ValueType::Size, "1.5GB") == 1'610'612'736);
  CHECK(amount(ValueType::Size, "1000") == 1000);
  CHECK(amount(ValueType::Size, "0") == 0);
  for (const char *text : {"256M", "256mb", "256 MB", "MB", "-1", "1TB", "0.3KB", "8589934592GB", "1MBs"}) {
    CAPTURE(text);
    CHECK(refuses(ValueType::Size, text));
  }
  CHECK(formatSize(268'435'456) == "256MB");
  CHECK(formatSize(1000) == "1000");
  CHECK(formatSize(0) == "0");
}

TEST_CASE("numbers, ints and switches have one meaning") {
  CHECK(parseValue(keyOf(ValueType::Number), "0.50").text == "0.5");
  CHECK(parseValue(keyOf(ValueType::Number), "-2").number == doctest::Approx(-2.0));
  for (const char *text : {"nan", "inf", "1e999", "0.5x", "", "0,5", " 1"}) {
    CAPTURE(text);
    CHECK(refuses(ValueType::Number, text));
  }
  CHECK(amount(ValueType::Int, "-9223372036854775808") == INT64_MIN);
  CHECK(refuses(ValueType::Int, "9223372036854775808"));
  CHECK(refuses(ValueType::Int, "1.0"));
  CHECK(refuses(ValueType::Int, "0x10"));
  for (const char *text : {"true", "yes", "on", "1"})
    CHECK(parseValue(keyOf(ValueType::Bool), text).text == "true");
  for (const char *text : {"false", "no", "off", "0"})
    CHECK(parseValue(keyOf(ValueType::Bool), text).text == "false");
  CHECK(refuses(ValueType::Bool, "TRUE"));
  CHECK(refuses(ValueType::Bool, "2"));
}

TEST_CASE("an empty value is fine for texts, and where the default is empty") {
  CHECK(parseValue(keyOf(ValueType::String), "").text.empty());
  CHECK(parseValue(keyOf(ValueType::List), "").items.empty());
  CHECK(parseValue(keyOf(ValueType::Listen), "").addresses.empty());
  KeySpec optional = keyOf(ValueType::Duration);
  optional.defaultValue.clear();
  CHECK(parseValue(optional, "").integer == 0);
  CHECK(refuses(ValueType::Duration, ""));
}

TEST_CASE("a refused secret is not repeated in the message") {
  KeySpec key = keyOf(ValueType::Int);
  key.flags = MOS_KEY_SECRET;
  try {
    parseValue(key, "hunter2");
    FAIL("accepted");
  } catch (const Error &e) {
    CHECK(std::string(e.what()).find("hunter2") == std::string::npos);
    CHECK(std::string(e.what()).find("the value is not a whole number") == 0);
  }
}

TEST_CASE("lists are words between commas") {
  const auto value = parseValue(keyOf(ValueType::List), "a,b ,  c");
  CHECK(value.items == std::vector<std::string>{"a", "b", "c"});
  CHECK(value.text == "a, b, c");
  CHECK(refuses(ValueType::List, "a,"));
  CHECK(refuses(ValueType::List, ","));
}

namespace {

/// How a key of that type and range reads the text: the value, or why it is refused.
std::string readAs(const char *type, const char *range, const std::string &text, std::uint32_t flags = 0) {
  const mos_config_key key{"k", type, nullptr, range, nullptr, flags, 0};
  Schema schema;
  schema.addPlugin("demo", "", std::span(&key, 1));
  try {
    return parseValue(*schema.find("demo")->find("k"), text).text;
  } catch (const Error &e) {
    return e.what();
  }
}

} // namespace

TEST_CASE("a URL means one thing, and is written in one way") {
  struct Row {
    const char *text, *canonical;
  };
  for (const Row &row : {Row{"https://example.org", "https://example.org"},
                         {"HTTPS://Example.ORG:443/A/b?C=d", "https://example.org/A/b?C=d"},
                         {"http://example.org:80/", "http://example.org/"},
                         {"https://example.org:80", "https://example.org:80"},
                         {"http://proxy:8080", "http://proxy:8080"},
                         {"http://my_service:8080/", "http://my_service:8080/"},
                         {"http://127.0.0.1:1/x%20y", "http://127.0.0.1:1/x%20y"},
                         {"https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443/"},
                         {"https://example.org?x=/../y", "https://example.org?x=/../y"},
                         {"", ""}}) {
    CAPTURE(row.text);
    CHECK(readAs("url", nullptr, row.text) == row.canonical);
  }
  const std::string longName = "https://" + std::string(64, 'a');
  const std::string longUrl = "https://a/" + std::string(2048, 'a');
  for (const Row &row : {Row{"example.org", "it has no scheme"},
                         {"unix:/run/x.sock", "it has no scheme"},
                         {"ftp://example.org", "its scheme is not http or https"},
                         {"https://", "it names no host"},
                         {"https:///path", "it names no host"},
                         {"https://:443", "it names no host"},
                         {"https://example.org:", "its port is none"},
                         {"https://example.org:0", "its port is none"},
                         {"https://example.org:65536", "its port is none"},
                         {"https://example.org:4x", "its port is none"},
                         {"https://example.org/#top", "it has a fragment"},
                         {"https://example.org/a b", "it has a character that no URL has"},
                         {"https://example.org\\@evil.example/", "it holds a user name or a password"},
                         {"https://b\xc3\xbc"
                          "cher.test/",
                          "it has a character that no URL has"},
                         {"https://example.org/%zz", "it has a character that no URL has"},
                         {"https://example.org/%2", "it has a character that no URL has"},
                         {"https://example.org/a/../b", "its path has a segment of dots"},
                         {"https://example.org/a/%2E%2e", "its path has a segment of dots"},
                         {"https://example.org.", "its host is neither a name nor an address"},
                         {"https://-a.example", "its host is neither a name nor an address"},
                         {"https://127.1", "its host is neither a name nor an address"},
                         {"https://0x7f000001", "its host is neither a name nor an address"},
                         {"https://a.0x7f", "its host is neither a name nor an address"},
                         {"https://2130706433", "its host is neither a name nor an address"},
                         {"https://[fe80::1%25eth0]", "its host is neither a name nor an address"},
                         {"https://[::1", "its host is neither a name nor an address"},
                         {longName.c_str(), "its host is neither a name nor an address"},
                         {longUrl.c_str(), "it is longer than 2048 bytes"}}) {
    CAPTURE(row.text);
    const std::string refusal = readAs("url", nullptr, row.text);
    CHECK(refusal.find(" is no URL here: " + std::string(row.canonical) + "; write one like http://example.org") !=
          std::string::npos);
  }
  CHECK(readAs("url", "https", "http://example.org") ==
        "\"http://example.org\" is no URL here: its scheme is not https; write one like https://example.org");
  CHECK(readAs("url", "redis|rediss", "rediss://cache:6379/0") == "rediss://cache:6379/0");
}

TEST_CASE("credentials in a URL are refused, and not repeated") {
  CHECK(readAs("url", nullptr, "https://alice:hunter2@example.org/") ==
        "the value is no URL here: it holds a user name or a password; write one like http://example.org");
  CHECK(readAs("url", "https", "hunter2@example.org").find("\"hunter2") == 0); // no URL at all
  CHECK(readAs("url", "https", "http://x/hunter2", MOS_KEY_SECRET).find("hunter2") == std::string::npos);
}

TEST_CASE("urls are a list of them, each as if it stood alone") {
  KeySpec key = keyOf(ValueType::Urls);
  key.words = {"https"};
  const ConfigValue value = parseValue(key, " https://A.example:443/x ,https://[::1]:8443/a%2Cb");
  CHECK(value.items == std::vector<std::string>{"https://a.example/x", "https://[::1]:8443/a%2Cb"});
  CHECK(value.text == "https://a.example/x, https://[::1]:8443/a%2Cb");
  CHECK(parseValue(key, value.text).items == value.items);
  CHECK(parseValue(key, "").items.empty());
  CHECK(readAs("urls", "https", "https://a.example, http://b.example") ==
        "\"http://b.example\" is no URL here: its scheme is not https; write one like https://example.org");
  CHECK(readAs("urls", nullptr, "http://a.example,, http://b.example").find(" is not a list; write") !=
        std::string::npos);
  CHECK(readAs("urls", nullptr, ",http://a.example").find(" is not a list; write") != std::string::npos);
  for (const char *text : {"https://a.example, https://alice:hunter2@b.example", "https://alice:hunter2,x@b.example",
                           "https://alice:hunter2@b.example,,"}) {
    CAPTURE(text);
    const std::string refusal = readAs("urls", nullptr, text);
    CHECK(refusal.find("the value is no") == 0);
    CHECK(refusal.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("a domain is a bare name") {
  CHECK(readAs("domain", nullptr, "Example.org") == "Example.org");
  CHECK(readAs("domain", nullptr, "").empty());
  CHECK(readAs("domain", nullptr, "https://example.org") ==
        "\"https://example.org\" is no bare domain: it names a scheme; write one like example.org");
  for (const char *text : {"example.org.", "a..b", "-a.b", "a-.b", "my_site.org", "example.org:80", "*.example.org"}) {
    CAPTURE(text);
    CHECK(readAs("domain", nullptr, text).find("is no bare domain") != std::string::npos);
  }
}

TEST_CASE("a pattern matches the whole text, in time that the pattern cannot stretch") {
  CHECK(readAs("pattern", "[a-z]+(-[a-z]+)*", "a-b-c") == "a-b-c");
  CHECK(readAs("pattern", "[a-z]+", "").empty());
  CHECK(readAs("pattern", "[a-z]+", "ab1") == "\"ab1\" does not match [a-z]+; write text that does");
  CHECK(readAs("pattern", "a|b", "ab").find("does not match") != std::string::npos);
  CHECK(readAs("pattern", "whsec_[A-Za-z0-9+/=]+", "hunter2", MOS_KEY_SECRET) ==
        "the value does not match whsec_[A-Za-z0-9+/=]+; write text that does");
  // Exponential where an engine tries one way after the other.
  CHECK(readAs("pattern", "(a*)*(a*)*(a*)*b", std::string(4096, 'a')).find("does not match") != std::string::npos);
  CHECK(readAs("pattern", "a*", std::string(4097, 'a')).find("does not match") != std::string::npos);
}

TEST_CASE("a rate is a count in a duration") {
  const ConfigValue value = parseValue(keyOf(ValueType::Rate), "0600/60s");
  CHECK(value.text == "600/1m");
  CHECK(value.items == std::vector<std::string>{"600", "60000"});
  CHECK(parseValue(keyOf(ValueType::Rate), "0").items == std::vector<std::string>{"0", "0"});
  CHECK(readAs("rate", nullptr, "1000000/1s") == "1000000/1s");
  CHECK(readAs("rate", nullptr, "1/24h") == "1/1d");
  CHECK(readAs("rate", nullptr, "").empty());
  CHECK(readAs("rate", nullptr, "600") == "\"600\" is not a rate; write how many, up to 1000000, in which time, 1s to "
                                          "1d, like 600/1m, or 0 for any number");
  for (const char *text :
       {"0/1m", "-1/1m", "+1/1m", "1.5/1m", "1000001/1m", "1/999ms", "1/25h", "1/0", "1/m", "1/", "/1m", "/", "00",
        "1 / 1m", "1/1m/1m", "1/1m ", "99999999999999999999/1m", "600/1m ; many"}) {
    CAPTURE(text);
    CHECK(refuses(ValueType::Rate, text));
  }
}

TEST_CASE("listen addresses are numeric, canonical and know who can reach them") {
  struct Row {
    const char *text, *canonical;
    bool local;
  };
  for (const Row &row :
       {Row{"127.0.0.1:9000", "127.0.0.1:9000", true}, Row{"localhost:0", "127.0.0.1:0", true},
        Row{"127.8.9.10:1", "127.8.9.10:1", true}, Row{"[::1]:9000", "[::1]:9000", true},
        Row{"[0:0:0:0:0:0:0:1]:9000", "[::1]:9000", true}, Row{"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
        Row{"0.0.0.0:80", "0.0.0.0:80", false}, Row{"[::]:80", "[::]:80", false},
        Row{"10.0.0.1:80", "10.0.0.1:80", false}, Row{"[2001:db8::1]:443", "[2001:db8::1]:443", false},
        Row{"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false}, Row{"unix:/run/x.sock", "unix:/run/x.sock", true}}) {
    CAPTURE(row.text);
    const auto address = ListenAddress::parse(row.text);
    CHECK(address.toString() == row.canonical);
    CHECK(address.isLocal() == row.local);
  }
  const std::string longPath = "unix:/" + std::string(107, 'a');
  for (const char *text : {"",
                           ":9000",
                           "*:9000",
                           "9000",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:9x",
                           "::1:9000",
                           "[::1]",
                           "[::1]9000",
                           "[127.0.0.1]:1",
                           "127.1:80",
                           "0177.0.0.1:80",
                           "example.com:80",
                           "[fe80::1%eth0]:80",
                           "unix:",
                           "unix:@abstract",
                           longPath.c_str(),
                           "http://127.0.0.1:80"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ListenAddress::parse(text), Error);
  }
}

TEST_CASE("two listeners collide when they cannot be bound together") {
  const auto collide = [](const char *a, const char *b) {
    const auto first = ListenAddress::parse(a);
    const auto second = ListenAddress::parse(b);
    CHECK(first.collidesWith(second) == second.collidesWith(first));
    return first.collidesWith(second);
  };
  CHECK(collide("127.0.0.1:80", "127.0.0.1:80"));
  CHECK(collide("0.0.0.0:80", "127.0.0.1:80"));
  CHECK(collide("[::]:80", "[::1]:80"));
  CHECK(collide("unix:/a", "unix:/a"));
  CHECK_FALSE(collide("127.0.0.1:0", "127.0.0.1:0"));
  CHECK_FALSE(collide("127.0.0.1:80", "127.0.0.2:80"));
  CHECK_FALSE(collide("127.0.0.1:80", "127.0.0.1:81"));
  CHECK_FALSE(collide("127.0.0.1:80", "[::1]:80"));
  CHECK_FALSE(collide("unix:/a", "unix:/b"));
}

TEST_CASE("one surrounding pair of quotes is removed") {
  CHECK(unquote("  a b \r") == "a b");
  CHECK(unquote(R"(" a ")") == " a ");
  CHECK(unquote("' a '") == " a ");
  CHECK(unquote(R"('"a"')") == R"("a")");
  CHECK(unquote(R"("a" and "b")") == R"("a" and "b")");
  CHECK(unquote(R"("a')") == R"("a')");
  CHECK(unquote("\"") == "\"");
  CHECK(unquote("\"\"").empty());
}

TEST_CASE("a suggestion is close, or there is none") {
  const std::vector<std::string> words{"image", "memory", "listen", "idle_timeout", "cpu"};
  CHECK(closest("imgae", words) == "image");
  CHECK(closest("IMAGE", words) == "image");
  CHECK(closest("idletimeout", words) == "idle_timeout");
  CHECK(closest("cpus", words) == "cpu");
  CHECK_FALSE(closest("weather", words).has_value());
  CHECK_FALSE(closest("", words).has_value());
  CHECK_FALSE(closest(std::string(100'000, 'a'), words).has_value());
}

TEST_CASE("text in messages is cut and made harmless") {
  CHECK(quote("a\nb\x1b[0m") == "\"a\\x0ab\\x1b[0m\"");
  CHECK(quote("\xff") == "\"\\xff\"");
  CHECK(quote("grün") == "\"grün\"");
  CHECK(quote(std::string(500, 'a')).size() < 100);
}
