#include <doctest/doctest.h>
#include <identity/PublicPaths.h>

#include <string>

using matrixos::identity::PublicPaths;

TEST_CASE("a public path is that path, or all below one by whole segments") {
  const PublicPaths paths({"/about", "/blog/*"});
  for (const char *path :
       {"/about", "/blog/", "/blog/a", "/blog/a/b.html", "/blog/a/", "/blog/%C3%A9", "/blog/a.b/..c"})
    CHECK_MESSAGE(paths.contains(path), path);
  for (const char *path : {"/", "", "/about/", "/About", "/about.html", "/blog", "/blogs/a", "/private"})
    CHECK_MESSAGE(!paths.contains(path), path);
}

TEST_CASE("what an instance could read as another path is below nothing") {
  const PublicPaths paths({"/public/*"});
  // Each way out of the folder, in each spelling of its separators, with each ending: 6 × 13 × 5 paths.
  int variants = 0;
  for (const std::string before : {"", "a/", "a/b/", "./", "%61/", ";/"}) {
    for (const std::string dots :
         {"..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", ".", "%2e", "..;x", "..%00", "..\\", "..%5c", "%252e%252e", ""}) {
      for (const std::string after : {"/private", "%2fprivate", "%2Fprivate", "\\private", "//private"}) {
        const std::string path = "/public/" + before + dots + after;
        CHECK_MESSAGE(!paths.contains(path), path);
        ++variants;
      }
    }
  }
  CHECK(variants == 390);
  for (const char *path :
       {"/public/%",     "/public/%4",   "/public/%zz", "/public/a%0d%0ab", "/public/a b",          "/public/a;v=1",
        "/public/a%3bv", "/public/a%25", "/public/a?b", "/public/a#b",      "/public/..",           "/public/a/..",
        "/public/a/.",   "/public//",    "//public/a",  "/./public/a",      "/private/../public/a", "/%70ublic/a",
        "/PUBLIC/a",     "/public\\a",   "public/a"})
    CHECK_MESSAGE(!paths.contains(path), path);
}

TEST_CASE("a rule that means more than it says is refused") {
  for (const char *item : {"/", "/about", "/a/b.html", "/blog/*", "/*"})
    CHECK_MESSAGE(PublicPaths::whyNot(item).empty(), item);
  for (const char *item : {"", "about", "/a*", "/a/*/b", "/*/", "/**", "/a/../b", "/a//b", "/a/%2e", "/a;b",
                           "/.matrixos/*", "/.matrixos/auth", "/a?b"})
    CHECK_MESSAGE(!PublicPaths::whyNot(item).empty(), item);
}
