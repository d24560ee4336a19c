// A variable that becomes one for the whole process unless the compiler is told otherwise: see matrixos_add_plugin().
struct Shared {
  static inline int count = 0;
};

extern "C" int *matrixosSharedCount() {
  return &Shared::count;
}
