// The core that the variant is for. It asks of the kernel that imports it what shared/tiled says.
#ifdef MATRIX
#import shared/matrix
#else
#ifdef BLOCKED
#import shared/blocked
#else
#import shared/tiled
#endif
#endif
