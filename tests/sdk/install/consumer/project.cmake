# The CMakeLists.txt of a third party: knows the installed SDK alone.
cmake_minimum_required(VERSION 3.16)
project(consumer VERSION 1.0 LANGUAGES C CXX)

find_package(matrixos-sdk 1.0 REQUIRED COMPONENTS json)
add_compile_options(-Wall -Wextra -Werror)
matrixos_add_plugin(minimal-c SOURCES minimal-c.c)
matrixos_add_plugin(minimal-cpp SOURCES minimal-cpp.cpp)
matrixos_add_plugin(with-json SOURCES with-json.cpp LIBS matrixos::sdk-json)
