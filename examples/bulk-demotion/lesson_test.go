package bulkdemotion

import (
	"testing"

	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}
