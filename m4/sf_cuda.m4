# SF_CUDA: looks for what the cuda backend is built with: nvcc, and the headers of CUDA and cuBLAS.
# Nothing of it is linked. --with-cuda=DIR names the toolkit, --without-cuda does without;
# --with-cuda-arch=LIST ("80 90", native) has the kernels compiled for these architectures alone, which
# is quicker. Sets sf_reason where something is missing, and
#   NVCC, CUDA_CPPFLAGS     the compiler of kernels, where the headers are
#   CUDA_CODES              nvcc's options for each architecture, and the newest as text for later ones
#   CUDA_LEAST, CUDA_NEWEST the oldest architecture and the newest
#   CUDA_RUNPATH            where the toolkit's cuBLAS is, for machines whose loader does not know it
AC_DEFUN([SF_CUDA_OPTIONS], [
AC_ARG_WITH([cuda],
            [AS_HELP_STRING([--with-cuda=DIR],
                            [the CUDA toolkit @<:@that of nvcc in PATH, or /usr/local/cuda@:>@])],
            [], [with_cuda=yes])
AC_ARG_WITH([cuda-arch],
            [AS_HELP_STRING([--with-cuda-arch=LIST],
                            [architectures that CUDA kernels are compiled for, such as
                             "80 90", or native: of the GPUs that are here
                             @<:@those from 75 on that nvcc knows@:>@])],
            [], [with_cuda_arch=])
NVCC= CUDA_CPPFLAGS= CUDA_CODES= CUDA_LEAST= CUDA_NEWEST= CUDA_RUNPATH=
AC_SUBST([NVCC])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_CODES])
AC_SUBST([CUDA_LEAST])
AC_SUBST([CUDA_NEWEST])
AC_SUBST([CUDA_RUNPATH])
])

AC_DEFUN([SF_CUDA], [
AS_CASE([$with_cuda],
  [no], [sf_reason="not wanted: --without-cuda"],
  [yes], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH$PATH_SEPARATOR/usr/local/cuda/bin])],
  [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
AS_IF([test -z "$sf_reason" && test -z "$NVCC"],
      [sf_reason="needs nvcc: --with-cuda=DIR names the CUDA toolkit"])
AS_IF([test -z "$sf_reason"], [_SF_CUDA_HEADERS])
AS_IF([test -z "$sf_reason"], [_SF_CUDA_CODES])
])

# Headers and libraries beside the nvcc that a link in PATH leads to.
AC_DEFUN([_SF_CUDA_HEADERS], [
sf_cuda_dir=`readlink -f "$NVCC" 2>/dev/null`
sf_cuda_dir=`dirname "\`dirname "${sf_cuda_dir:-$NVCC}"\`"`
AS_IF([test -e "$sf_cuda_dir/include/cuda.h"], [CUDA_CPPFLAGS="-isystem $sf_cuda_dir/include"])
for sf_folder in "$sf_cuda_dir/lib64" "$sf_cuda_dir/lib"; do
  AS_IF([ls "$sf_folder"/libcublasLt.so.* >/dev/null 2>&1],
        [CUDA_RUNPATH="-Wl,-rpath,$sf_folder"; break])
done
sf_saved_CPPFLAGS=$CPPFLAGS
CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
AC_CHECK_HEADERS([cuda.h cublasLt.h], [],
                 [sf_reason="needs the header $ac_header of the CUDA toolkit"; break],
                 [AC_INCLUDES_DEFAULT])
CPPFLAGS=$sf_saved_CPPFLAGS
])

# Code for the GPUs that are here: of their architecture, or the next older one that is known. Without a
# GPU there is nobody to be quick for, and one will do for tests.
AC_DEFUN([_SF_CUDA_NATIVE], [
with_cuda_arch=
for sf_own in `nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    tr -cd '0-9\n' | sort -n -u`; do
  sf_best=
  for sf_arch in $sf_cuda_all; do
    AS_CASE([" $sf_cuda_known"], [*" $sf_arch "*], [
      AS_IF([test "$sf_arch" -le "$sf_own"], [sf_best=$sf_arch])])
  done
  AS_CASE([" $with_cuda_arch "], [*" $sf_best "*], [], [with_cuda_arch="$with_cuda_arch $sf_best"])
done
AS_IF([test -z "$with_cuda_arch"], [with_cuda_arch=80])
])

AC_DEFUN([_SF_CUDA_CODES], [
AC_MSG_CHECKING([which architectures $NVCC knows])
sf_cuda_known=`"$NVCC" --list-gpu-code 2>/dev/null | sed -n 's/^sm_\(@<:@0-9@:>@*\)$/\1/p' | tr '\n' ' '`
sf_cuda_all="75 80 86 89 90 100 120"
AS_IF([test "x$with_cuda_arch" = xnative], [_SF_CUDA_NATIVE])
CUDA_NEWEST=
for sf_arch in ${with_cuda_arch:-$sf_cuda_all}; do
  AS_CASE([" $sf_cuda_known"], [*" $sf_arch "*], [
    CUDA_LEAST=${CUDA_LEAST:-$sf_arch}
    CUDA_CODES="$CUDA_CODES -gencode arch=compute_$sf_arch,code=sm_$sf_arch"
    CUDA_NEWEST=$sf_arch], [
    AS_IF([test -n "$with_cuda_arch"],
          [AC_MSG_ERROR([--with-cuda-arch: $NVCC does not know $sf_arch, but $sf_cuda_known])])])
done
AC_MSG_RESULT([${sf_cuda_known:-none}])
AS_IF([test -n "$CUDA_NEWEST"],
      [CUDA_CODES="$CUDA_CODES -gencode arch=compute_$CUDA_NEWEST,code=compute_$CUDA_NEWEST"],
      [sf_reason="$NVCC compiles for no architecture that is known here"])
])
